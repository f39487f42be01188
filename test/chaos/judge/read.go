// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
)

// never is the end of what has not ended.
const never = int64(math.MaxInt64)

// call is one call of a participant's, and what came of it. ret is never where it did not return.
type call struct {
	op, path, rc string
	waits        bool // It was given some time.
	call, ret    int64
}

// look is what a handle said of itself: true at some moment from at on.
type look struct {
	at    int64
	mode  int
	token uint64
	safe  int64 // Until when it is sure to be held, on the true clock; 0 for "not held".
}

// attempt is one acquisition of a role's, with all that belongs to it.
type attempt struct {
	process, role string
	number        int
	calls         []*call
	looks         []look
	lost          int64
}

func (a *attempt) String() string {
	return fmt.Sprintf("%s %s %d", a.process, a.role, a.number)
}

// find gives the call of such an operation, nil where there is none.
func (a *attempt) find(ops ...string) *call {
	for _, c := range a.calls {
		for _, op := range ops {
			if c.op == op {
				return c
			}
		}
	}
	return nil
}

// process is one run of a participant's process.
type process struct {
	name     string
	rate     float64
	session  int64 // The timeout that it asked for, in ns.
	members  int
	attempts []*attempt
	doubts   [][2]int64 // When it was not connected, by its own knowledge.
	losses   []int64    // When it heard that a session was over.
}

// inDoubt tells whether an answer may have been lost between the two times.
func (p *process) inDoubt(from, to int64) bool {
	for _, doubt := range p.doubts {
		if doubt[0] <= to && from <= doubt[1] {
			return true
		}
	}
	return false
}

// hearsOfLoss tells whether it heard between the two times that a session was over.
func (p *process) hearsOfLoss(from, to int64) bool {
	for _, at := range p.losses {
		if from <= at && at <= to {
			return true
		}
	}
	return false
}

// values are the NAME=VALUE words of a line.
func values(words []string) map[string]string {
	found := map[string]string{}
	for _, word := range words {
		if name, value, ok := strings.Cut(word, "="); ok {
			found[name] = value
		}
	}
	return found
}

func number(text string) uint64 {
	value, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		panic(err)
	}
	return value
}

// attemptID names an attempt. A lost callback runs on a thread of its own, so its line may follow the first lines of
// the next attempt.
type attemptID struct {
	role   string
	number int
}

// reader reads one journal.
type reader struct {
	process  *process
	attempts map[attemptID]*attempt
	away     int64 // Since when it has been cut off; never while it is connected.
}

func (r *reader) state(at int64, is string) {
	connected := is == "connected" || is == "reconnected"
	if is == "lost" {
		r.process.losses = append(r.process.losses, at)
	}
	if connected && r.away != never {
		r.process.doubts = append(r.process.doubts, [2]int64{r.away, at})
		r.away = never
	} else if !connected && r.away == never {
		r.away = at
	}
}

func (r *reader) attempt(role string, n int) *attempt {
	id := attemptID{role, n}
	a := r.attempts[id]
	if a == nil {
		a = &attempt{process: r.process.name, role: role, number: n, lost: never}
		r.attempts[id] = a
		r.process.attempts = append(r.process.attempts, a)
	}
	return a
}

// safeUntil turns a time of the participant's clock into the true time, at the earliest that it can be.
func (r *reader) safeUntil(at int64, safe, clock uint64) int64 {
	if safe == 0 {
		return 0
	}
	if r.process.rate == 1 {
		return int64(safe) * 1e6
	}
	return at + int64(float64(int64(safe)-int64(clock)-1)*1e6/r.process.rate)
}

func (r *reader) line(at int64, role string, n int, event string, v map[string]string) error {
	switch {
	case event == "start":
		rate, err := strconv.ParseFloat(v["rate"], 64)
		if err != nil {
			return err
		}
		r.process.name, r.process.rate = v["name"], rate
		r.process.session = int64(number(v["session"])) * 1e6
		r.process.members = int(number(v["members"]))
		r.away = at
	case event == "state":
		r.state(at, v["is"])
	case event == "idle" || event == "end":
	case event == "call":
		a := r.attempt(role, n)
		a.calls = append(a.calls, &call{op: v["op"], path: v["path"], waits: v["timeout"] != "0", call: at, ret: never})
	case event == "ret":
		c := r.attempt(role, n).find(v["op"])
		c.ret, c.rc = at, v["rc"]
	case event == "lost":
		a := r.attempt(role, n)
		if at < a.lost {
			a.lost = at
		}
	case event == "held":
		a := r.attempt(role, n)
		a.looks = append(a.looks, look{at, int(number(v["mode"])), number(v["token"]),
			r.safeUntil(at, number(v["safe"]), number(v["clock"]))})
	default:
		return fmt.Errorf("unknown event %q", event)
	}
	return nil
}

// readJournal reads a history up to the given time. A last line without an end is what a kill has left.
func readJournal(path string, until int64) (*process, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	lines := strings.Split(string(text), "\n")
	r := &reader{process: &process{}, attempts: map[attemptID]*attempt{}, away: never}
	for i, line := range lines[:len(lines)-1] {
		words := strings.Split(line, " ")
		if len(words) < 4 {
			return nil, fmt.Errorf("%s:%d: %q", path, i+1, line)
		}
		at := int64(number(words[0]))
		if at > until {
			continue
		}
		if err := r.line(at, words[1], int(number(words[2])), words[3], values(words[4:])); err != nil {
			return nil, fmt.Errorf("%s:%d: %v", path, i+1, err)
		}
	}
	if r.away != never {
		r.process.doubts = append(r.process.doubts, [2]int64{r.away, never})
	}
	return r.process, nil
}

// readAll reads all histories of a folder.
func readAll(folder string, until int64) ([]*process, error) {
	paths, err := filepath.Glob(filepath.Join(folder, "p*-*.log"))
	if err != nil {
		return nil, err
	}
	sort.Strings(paths)
	var all []*process
	for _, path := range paths {
		p, err := readJournal(path, until)
		if err != nil {
			return nil, err
		}
		if p.name != "" {
			all = append(all, p)
		}
	}
	return all, nil
}
