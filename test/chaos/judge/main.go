// SPDX-License-Identifier: Apache-2.0

// Command judge reads the histories of test/chaos and tells what in them cannot be, by two means: intervals in which
// two believe to hold one lock, and Porcupine with a model of each primitive.
//
// Its arguments are [-live] and the folder. It ends with 0 where nothing is wrong, with 1 where something is, with 2 where it cannot tell. With -live the
// histories are still being written, and their last second is left out.
package main

import (
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// patience is for one history, and for each part of one that explains it.
const patience, patienceForParts = 60 * time.Second, 2 * time.Second

// expected are the results that each operation may have here, 0 aside.
var expected = map[string]string{
	"rdlock":    "ZKS_EBUSY ZKS_ETIMEDOUT ZKS_EDISCONNECTED ZKS_ESESSION",
	"wrlock":    "ZKS_EBUSY ZKS_ETIMEDOUT ZKS_EDISCONNECTED ZKS_ESESSION",
	"downgrade": "ZKS_ELOST ZKS_ETIMEDOUT ZKS_EPERM",
	"unlock":    "ZKS_ELOST ZKS_ETIMEDOUT ZKS_EPERM",
	"set":       "ZKS_EEXIST ZKS_ETIMEDOUT ZKS_EDISCONNECTED ZKS_ESESSION",
	"unset":     "ZKS_ENOENT ZKS_ETIMEDOUT ZKS_EDISCONNECTED ZKS_ESESSION",
	"wait":      "ZKS_EBUSY ZKS_ETIMEDOUT ZKS_EDISCONNECTED ZKS_ESESSION",
	"enter":     "ZKS_EBUSY ZKS_ETIMEDOUT ZKS_ETOOMANY ZKS_EEXIST ZKS_ELOST ZKS_EDISCONNECTED ZKS_ESESSION",
	"leave":     "ZKS_ELOST ZKS_ETIMEDOUT",
}

// judgement is what is found, and what was looked at.
type judgement struct {
	folder                   string
	wrong                    []string
	calls, successes         int
	holds, histories, undone int
}

func (j *judgement) say(lines ...string) {
	j.wrong = append(j.wrong, lines...)
}

// results finds results that no caller can make sense of.
func (j *judgement) results(a *attempt) {
	for _, c := range a.calls {
		j.calls++
		if c.rc == "0" {
			j.successes++
		} else if c.rc != "" && !strings.Contains(" "+expected[c.op]+" ", " "+c.rc+" ") {
			j.say(fmt.Sprintf("%v: %s of %s gives %s", a, c.op, c.path, c.rc))
		}
	}
}

// check asks Porcupine for one history.
func (j *judgement) check(name string, model porcupine.Model, history []porcupine.Operation) {
	if len(history) == 0 {
		return
	}
	j.histories++
	result, info := porcupine.CheckOperationsVerbose(model, history, patience)
	if result == porcupine.Ok {
		return
	}
	if result == porcupine.Unknown {
		j.undone++
		return
	}
	picture := filepath.Join(j.folder, strings.ReplaceAll(strings.Trim(name, "/"), "/", "_")+".html")
	if err := porcupine.VisualizePath(model, info, picture); err != nil {
		picture = err.Error()
	}
	j.say(fmt.Sprintf("%s: its %d operations are in no order possible: %s", name, len(history), filepath.Base(picture)))
	j.say(shortest(model, history)...)
}

// shortest gives the first operation by whose return the history is impossible, and those around it.
func shortest(model porcupine.Model, history []porcupine.Operation) (lines []string) {
	ends := append([]porcupine.Operation(nil), history...)
	sort.Slice(ends, func(i, j int) bool { return ends[i].Return < ends[j].Return })
	upTo := func(n int) (part []porcupine.Operation) {
		limit := ends[n].Return
		for _, op := range history {
			if op.Return > limit && op.Call <= limit {
				op.Return = never
			}
			if op.Call <= limit {
				part = append(part, op)
			}
		}
		return part
	}
	n := sort.Search(len(ends), func(n int) bool {
		return porcupine.CheckOperationsTimeout(model, upTo(n), patienceForParts) == porcupine.Illegal
	})
	if n == len(ends) {
		return nil
	}
	part := upTo(n)
	sort.Slice(part, func(i, j int) bool { return part[i].Call < part[j].Call })
	if len(part) > 12 {
		part = part[len(part)-12:]
	}
	for _, op := range part {
		lines = append(lines, fmt.Sprintf("    %s to %s: %s", clock(op.Call), clock(op.Return), describe(op.Input, nil)))
	}
	return append(lines, "    impossible by: "+describe(ends[n].Input, nil))
}

// locks judges all that is about locks.
func (j *judgement) locks(processes []*process) {
	holds := map[string][]*hold{}
	for _, p := range processes {
		for _, a := range p.attempts {
			h, wrong := holdOf(a)
			j.say(wrong...)
			if h != nil && h.token != 0 {
				j.holds++
				holds[h.path] = append(holds[h.path], h)
			}
		}
	}
	for _, path := range sorted(holds) {
		j.say(overlaps(holds[path])...)
		j.say(tokens(holds[path])...)
		j.check(path, lockModel, lockHistory(holds[path]))
	}
}

func sorted[T any](all map[string]T) (names []string) {
	for name := range all {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// barriers judges barriers and double barriers.
func (j *judgement) barriers(processes []*process) {
	gates, rounds := map[string][]porcupine.Operation{}, map[string][]porcupine.Operation{}
	members := 0
	for _, p := range processes {
		members = p.members
		for _, a := range p.attempts {
			j.results(a)
			path := a.calls[0].path
			switch a.role {
			case "gate":
				gates[path] = append(gates[path], gateHistory(p, a)...)
			case "round":
				rounds[path] = append(rounds[path], roundHistory(p, a)...)
			}
		}
	}
	for _, path := range sorted(gates) {
		j.check(path, gateModel, gates[path])
	}
	for _, path := range sorted(rounds) {
		j.check(path, roundModel(members), rounds[path])
	}
}

// lastTime is the time up to which histories that are being written are complete.
func lastTime() (int64, error) {
	text, err := os.ReadFile("/proc/uptime")
	if err != nil {
		return 0, err
	}
	seconds, err := strconv.ParseFloat(strings.Fields(string(text))[0], 64)
	return int64((seconds - 1) * 1e9), err
}

func run(folder string, live bool) int {
	until := int64(math.MaxInt64)
	var err error
	if live {
		if until, err = lastTime(); err != nil {
			fmt.Println(err)
			return 2
		}
	}
	processes, err := readAll(folder, until)
	if err != nil {
		fmt.Println(err)
		return 2
	}
	j := &judgement{folder: folder}
	j.locks(processes)
	j.barriers(processes)
	if 5*j.undone > j.histories {
		j.say("too many histories are too long to judge")
	}
	const most = 60
	for i, line := range j.wrong {
		if i == most {
			fmt.Printf("and %d lines more\n", len(j.wrong)-most)
			break
		}
		fmt.Println(line)
	}
	fmt.Printf("%d processes made %d calls, %d of them with success; %d holds and %d histories judged, %d too long to judge\n",
		len(processes), j.calls, j.successes, j.holds, j.histories, j.undone)
	if len(j.wrong) > 0 {
		return 1
	}
	return 0
}

func main() {
	live := flag.Bool("live", false, "the histories are still being written")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: judge [-live] FOLDER")
		os.Exit(2)
	}
	os.Exit(run(flag.Arg(0), *live))
}
