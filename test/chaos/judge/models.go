// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"sort"
	"strings"

	"github.com/anishathalye/porcupine"
)

// action is the input of each operation of the models; what it does is all known, so there is no output.
type action struct {
	what  string
	who   string // An attempt.
	token uint64
}

func describe(input, _ interface{}) string {
	a := input.(action)
	if a.token != 0 {
		return fmt.Sprintf("%s %s %d", a.who, a.what, a.token)
	}
	return a.who + " " + a.what
}

func operation(a action, from, to int64) porcupine.Operation {
	return porcupine.Operation{Input: a, Call: from, Return: to}
}

// ---- A fenced lock and a read-write lock ----

// lockState is who holds, and the highest token of a writer's.
type lockState struct {
	writer  string
	readers string // Sorted, each with a comma behind it.
	token   uint64
}

func with(set, member string) string {
	members := append(strings.SplitAfter(set, ","), member+",")
	sort.Strings(members)
	return strings.Join(members, "")
}

func has(set, member string) bool {
	return strings.HasPrefix(set, member+",") || strings.Contains(set, ","+member+",")
}

func without(set, member string) string {
	members := strings.SplitAfter(set, ",")
	for i, m := range members {
		if m == member+"," {
			return strings.Join(append(members[:i:i], members[i+1:]...), "")
		}
	}
	return set
}

var lockModel = porcupine.Model{
	Init: func() interface{} { return lockState{} },
	Step: func(state, input, _ interface{}) (bool, interface{}) {
		s, a := state.(lockState), input.(action)
		switch a.what {
		case "writes":
			ok := s.writer == "" && s.readers == "" && a.token > s.token
			return ok, lockState{a.who, "", a.token}
		case "reads":
			return s.writer == "", lockState{"", with(s.readers, a.who), s.token}
		case "downgrades":
			return s.writer == a.who, lockState{"", with(s.readers, a.who), s.token}
		case "ends":
			if s.writer == a.who {
				return true, lockState{"", s.readers, s.token}
			}
			return has(s.readers, a.who), lockState{s.writer, without(s.readers, a.who), s.token}
		}
		return false, s
	},
	DescribeOperation: describe,
}

// lockHistory turns the holds of a path into operations. One that was not given back ends when it is no more believed
// in, and not a moment earlier.
func lockHistory(holds []*hold) (history []porcupine.Operation) {
	for _, h := range holds {
		who := h.attempt.String()
		what := "reads"
		if h.mode == writing {
			what = "writes"
		}
		history = append(history, operation(action{what, who, h.token}, h.call, h.from))
		if h.down != nil {
			until := h.down.ret
			if h.to < until {
				until = h.to
			}
			history = append(history, operation(action{"downgrades", who, 0}, h.down.call, until))
		}
		if h.given != nil {
			history = append(history, operation(action{"ends", who, 0}, h.to, h.given.ret))
		} else {
			history = append(history, operation(action{"ends", who, 0}, h.to, h.to))
		}
	}
	return history
}

// ---- A barrier ----

var gateModel = porcupine.Model{
	Init: func() interface{} { return false },
	Step: func(state, input, _ interface{}) (bool, interface{}) {
		set := state.(bool)
		switch input.(action).what {
		case "sets":
			return !set, true
		case "finds it set":
			return set, set
		case "unsets":
			return set, false
		case "finds it unset":
			return !set, set
		case "may set":
			return true, true
		case "may unset":
			return true, false
		}
		return false, state
	},
	DescribeOperation: describe,
}

// gateHistory turns the calls for a barrier into operations. What a request does of which nothing is known can come at
// any time from its call on, and is then one more operation, which may as well come after all others.
func gateHistory(p *process, a *attempt) (history []porcupine.Operation) {
	for _, c := range a.calls {
		add := func(what string, to int64) {
			history = append(history, operation(action{what, a.String(), 0}, c.call, to))
		}
		doubt := p.inDoubt(c.call, c.ret)
		switch {
		case c.op == "wait":
			if c.rc == "0" {
				add("finds it unset", c.ret)
			}
			continue
		case c.op == "set" && c.rc == "0":
			add("sets", c.ret)
		case c.op == "set" && c.rc == "ZKS_EEXIST":
			add("finds it set", c.ret)
		case c.op == "unset" && c.rc == "0" && doubt:
			add("may unset", c.ret) // Somebody else may have done it.
		case c.op == "unset" && c.rc == "0":
			add("unsets", c.ret)
		case c.op == "unset" && c.rc == "ZKS_ENOENT":
			add("finds it unset", c.ret)
		default:
			doubt = true
		}
		if doubt {
			add("may "+c.op, never)
		}
	}
	return history
}

// ---- Rounds ----

const (
	gathering = iota // Until all members have come.
	open             // Until all have gone.
	ended            // Until those who have waited for it have seen it.
)

// roundState is the state of a double barrier. The sets are sorted, with a comma behind each member.
type roundState struct {
	phase  int
	count  int    // Of members that have come.
	inside string // Who counts as inside.
	out    string // Who has gone, and waits for the others.
}

// next gives the state that follows by itself.
func (s roundState) next(members int) roundState {
	if s.phase == gathering && s.count == members {
		s.phase = open
	}
	if s.phase == open && s.inside == "" {
		s.phase = ended
	}
	if s.phase == ended && s.out == "" {
		return roundState{}
	}
	return s
}

// roundModel is that of rounds with so many members. Entering is two operations: to come, and to see that the round
// has begun, which takes all who come. So is leaving: to go, and to see that all have gone.
func roundModel(members int) porcupine.Model {
	return porcupine.Model{
		Init: func() interface{} { return roundState{} },
		Step: func(state, input, _ interface{}) (bool, interface{}) {
			s, a := state.(roundState), input.(action)
			ok := false
			switch a.what {
			case "comes":
				ok = s.phase == gathering
				s.count++
				s.inside = with(s.inside, a.who)
			case "may come":
				ok = true
				if s.phase == gathering {
					s.count++
				}
			case "begins":
				ok = s.phase == open && has(s.inside, a.who)
			case "goes":
				ok = s.phase == open && has(s.inside, a.who)
				s.inside = without(s.inside, a.who)
				s.out = with(s.out, a.who)
			case "is gone":
				ok = s.phase == open && has(s.inside, a.who)
				s.inside = without(s.inside, a.who)
			case "sees the end":
				ok = s.phase == ended && has(s.out, a.who)
				s.out = without(s.out, a.who)
			}
			return ok, s.next(members)
		},
		DescribeOperation: describe,
	}
}

// notEntered are the results of an enter that leave nothing open where no answer was lost.
var notEntered = map[string]bool{"ZKS_EBUSY": true, "ZKS_ETIMEDOUT": true, "ZKS_ETOOMANY": true, "ZKS_EEXIST": true,
	"ZKS_EMISMATCH": true, "ZKS_EDISCONNECTED": true, "ZKS_ESESSION": true}

// roundHistory turns an attempt into operations. Who has entered and then lost its session, or was killed, may be gone
// for the others at any time; so may one that leaves without waiting for it, from that call on, and before it where the
// client had not yet heard that its session was over.
func roundHistory(p *process, a *attempt) (history []porcupine.Operation) {
	add := func(what string, from, to int64) {
		history = append(history, operation(action{what, a.String(), 0}, from, to))
	}
	enter, leave := a.find("enter"), a.find("leave")
	if enter == nil {
		return nil
	}
	if enter.rc != "0" {
		if !notEntered[enter.rc] || p.inDoubt(enter.call, enter.ret) {
			add("may come", enter.call, never)
		}
		return history
	}
	add("comes", enter.call, enter.ret)
	add("begins", enter.call, enter.ret)
	unheard := leave != nil && !leave.waits && p.hearsOfLoss(leave.ret, leave.ret+p.session)
	switch {
	case leave != nil && leave.rc == "0" && leave.waits:
		add("goes", leave.call, leave.ret)
		add("sees the end", leave.call, leave.ret)
	case leave == nil || leave.rc == "" || leave.rc == "ZKS_ELOST" || unheard || p.inDoubt(enter.call, leave.ret):
		add("is gone", enter.call, never)
	default:
		add("is gone", leave.call, never)
	}
	return history
}
