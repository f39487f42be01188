// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"sort"
)

const (
	reading = 1
	writing = 2
)

// tolerance is for the milliseconds in which the library counts.
const tolerance = int64(2e6)

// hold is a lock as its holder believed in it: from the return of the call that acquired it until it was given back,
// known to be lost, or no more sure.
type hold struct {
	attempt  *attempt
	path     string
	mode     int
	token    uint64
	call     int64 // Of the acquisition.
	from, to int64
	given    *call // Back by this call; nil where it was lost, or its holder killed.
	down     *call // The downgrade, nil where there is none.
}

func (h *hold) String() string {
	mode := map[int]string{reading: "reads", writing: "writes"}[h.mode]
	return fmt.Sprintf("%v %s %s with token %d from %s to %s", h.attempt, mode, h.path, h.token, clock(h.from), clock(h.to))
}

// clock is a time in seconds, as the journals have it.
func clock(ns int64) string {
	if ns == never {
		return "the end"
	}
	return fmt.Sprintf("%d.%06d", ns/1e9, ns%1e9/1e3)
}

// holdOf tells how long the lock of an attempt was believed to be held; nil where it was not. Wrong is what its handle
// said that cannot be.
func holdOf(a *attempt) (h *hold, wrong []string) {
	got := a.find("wrlock", "rdlock")
	if got == nil || got.rc != "0" {
		return nil, nil
	}
	h = &hold{attempt: a, path: got.path, mode: reading, call: got.call, from: got.ret, to: got.ret}
	if got.op == "wrlock" {
		h.mode = writing
	}
	var safe int64
	for _, l := range a.looks {
		if l.safe > h.to {
			h.to = l.safe
		}
		if l.safe > safe {
			safe = l.safe
		}
		if l.mode != 0 && l.at > h.to {
			h.to = l.at
		}
		if l.mode != 0 && l.at > safe+tolerance {
			wrong = append(wrong, fmt.Sprintf("%v: held at %s, past safe_until %s", a, clock(l.at), clock(safe)))
		}
		if l.mode != 0 && l.at > a.lost+tolerance && a.lost != never {
			wrong = append(wrong, fmt.Sprintf("%v: held at %s, after the loss was told at %s", a, clock(l.at), clock(a.lost)))
		}
		if l.token != 0 {
			if h.token != 0 && l.token != h.token {
				wrong = append(wrong, fmt.Sprintf("%v: the token changes from %d to %d", a, h.token, l.token))
			}
			h.token = l.token
		}
	}
	if a.lost < h.to {
		h.to = a.lost
	}
	if down := a.find("downgrade"); down != nil && down.call < h.to {
		h.down = down
	}
	if unlock := a.find("unlock"); unlock != nil && unlock.call < h.to {
		h.to, h.given = unlock.call, unlock
	}
	if h.to <= h.from {
		return nil, wrong
	}
	return h, wrong
}

// parts gives a hold as a writer's and a reader's part.
func (h *hold) parts() []*hold {
	if h.down == nil || h.down.call >= h.to {
		return []*hold{h}
	}
	before, after := *h, *h
	before.to = h.down.call
	after.from, after.mode = h.down.call, reading
	return []*hold{&before, &after}
}

// overlaps finds holders of one path of whom one wrote while the other held.
func overlaps(holds []*hold) (wrong []string) {
	var parts []*hold
	for _, h := range holds {
		parts = append(parts, h.parts()...)
	}
	sort.Slice(parts, func(i, j int) bool { return parts[i].from < parts[j].from })
	for i, a := range parts {
		for _, b := range parts[i+1:] {
			if b.from >= a.to {
				continue
			}
			if a.attempt != b.attempt && (a.mode == writing || b.mode == writing) {
				until := a.to
				if b.to < until {
					until = b.to
				}
				wrong = append(wrong, fmt.Sprintf("two hold for %.3f s: %v; %v", float64(until-b.from)/1e9, a, b))
			}
		}
	}
	return wrong
}

// tokens finds tokens that occur twice, and writers' that do not grow in the order of holding.
func tokens(holds []*hold) (wrong []string) {
	sorted := append([]*hold(nil), holds...)
	sort.Slice(sorted, func(i, j int) bool { return sorted[i].from < sorted[j].from })
	seen := map[uint64]*hold{}
	var last *hold
	for _, h := range sorted {
		if other := seen[h.token]; other != nil {
			wrong = append(wrong, fmt.Sprintf("one token twice: %v; %v", other, h))
		}
		seen[h.token] = h
		if h.mode == writing {
			if last != nil && last.token >= h.token {
				wrong = append(wrong, fmt.Sprintf("the token does not grow: %v; %v", last, h))
			}
			last = h
		}
	}
	return wrong
}
