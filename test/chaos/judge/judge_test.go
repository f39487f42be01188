// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// judged gives what is wrong with histories. Each is the lines of one process, with times in ms.
func judged(t *testing.T, journals ...string) string {
	t.Helper()
	folder := t.TempDir()
	for i, journal := range journals {
		text := fmt.Sprintf("1000000 - 0 start name=p%d rate=1.0 session=4000 members=2 pid=1\n2000000 - 0 state is=connected\n", i+1)
		for _, line := range strings.Split(strings.TrimSpace(journal), "\n") {
			at, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
			text += at + "000000 " + rest + "\n"
		}
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("p%d-1.log", i+1)), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	processes, err := readAll(folder, never)
	if err != nil {
		t.Fatal(err)
	}
	j := &judgement{folder: folder}
	j.locks(processes)
	j.barriers(processes)
	return strings.Join(j.wrong, "\n")
}

// lateLoss is written by two threads: the callback's line comes after the next attempt has begun.
const lateLoss = `151 lock 2 call op=rdlock path=/l timeout=0
	150 lock 1 lost
	160 lock 2 ret op=rdlock rc=ZKS_ETIMEDOUT`

func TestHistories(t *testing.T) {
	writer := `10 lock 1 call op=wrlock path=/l timeout=0
		20 lock 1 ret op=wrlock rc=0
		21 lock 1 held mode=2 token=7 safe=500 clock=21
		%s`
	unlocked := `100 lock 1 call op=unlock path=/l timeout=0
		110 lock 1 ret op=unlock rc=0`
	other := func(op string, from, token int) string {
		return fmt.Sprintf(`15 lock 1 call op=%[1]s path=/l timeout=0
			%[2]d lock 1 ret op=%[1]s rc=0
			%[2]d lock 1 held mode=%[4]d token=%[3]d safe=%[5]d clock=%[2]d`, op, from, token,
			map[string]int{"wrlock": 2, "rdlock": 1}[op], from+300)
	}
	reader := strings.ReplaceAll(other("rdlock", 30, 8), "lock 1", "rw 1")
	inside := func(enter, begun, leave, left int) string {
		return fmt.Sprintf(`%d round 1 call op=enter path=/r timeout=0
			%d round 1 ret op=enter rc=0
			%d round 1 call op=leave path=/r timeout=9
			%d round 1 ret op=leave rc=0`, enter, begun, leave, left)
	}
	calls := func(op, rc string, from, to int) string {
		return fmt.Sprintf("%d gate %d call op=%s path=/g timeout=0\n%d gate %d ret op=%s rc=%s", from, from, op, to, from, op, rc)
	}
	cutOff := "5 - 0 state is=suspended\n"
	for _, test := range []struct {
		name     string
		wrong    string // What must be said; "" where nothing is wrong.
		journals []string
	}{
		{"one after the other", "", []string{fmt.Sprintf(writer, unlocked), other("wrlock", 105, 8)}},
		{"two writers", "two hold for 0.050 s", []string{fmt.Sprintf(writer, unlocked), other("wrlock", 50, 8)}},
		{"a reader beside a writer", "two hold", []string{fmt.Sprintf(writer, unlocked), other("rdlock", 50, 8)}},
		{"two readers", "", []string{reader, reader2(reader)}},
		{"one who is killed holds on", "two hold for 0.300 s", []string{fmt.Sprintf(writer, ""), other("wrlock", 200, 8)}},
		{"one who is killed holds until it is no more sure", "", []string{fmt.Sprintf(writer, ""), other("wrlock", 501, 8)}},
		{"who is told of the loss holds no more", "", []string{fmt.Sprintf(writer, "150 lock 1 lost"), other("wrlock", 200, 8)}},
		{"a loss that is written after the next call", "", []string{fmt.Sprintf(writer, lateLoss), other("wrlock", 200, 8)}},
		{"held after the loss", "after the loss", []string{fmt.Sprintf(writer, "150 lock 1 lost\n190 lock 1 held mode=2 token=7 safe=500 clock=1")}},
		{"held past its end", "past safe_until", []string{fmt.Sprintf(writer, "600 lock 1 held mode=2 token=7 safe=500 clock=600")}},
		{"a smaller token", "does not grow", []string{fmt.Sprintf(writer, unlocked), other("wrlock", 105, 6)}},
		{"a token twice", "one token twice", []string{fmt.Sprintf(writer, unlocked), other("wrlock", 105, 7)}},
		{"a token that changes", "the token changes", []string{fmt.Sprintf(writer, "50 lock 1 held mode=2 token=8 safe=500 clock=50")}},
		{"a downgrade lets readers in", "", []string{fmt.Sprintf(writer, downgraded), other("rdlock", 70, 8)}},
		{"a downgrade keeps writers out", "two hold", []string{fmt.Sprintf(writer, downgraded), other("wrlock", 70, 8)}},
		{"an impossible result", "gives ZKS_EINVAL", []string{calls("wait", "ZKS_EINVAL", 10, 20)}},

		{"a barrier", "", []string{calls("set", "0", 10, 20), calls("wait", "0", 30, 60), calls("unset", "0", 40, 50)}},
		{"a barrier is passed", "no order possible", []string{calls("set", "0", 10, 20), calls("wait", "0", 30, 60)}},
		{"a barrier is set twice", "no order possible", []string{calls("set", "0", 10, 20), calls("set", "0", 30, 60)}},
		{"a barrier that nobody has set", "no order possible", []string{calls("set", "ZKS_EEXIST", 10, 20)}},
		{"a barrier that is there is not found", "no order possible", []string{calls("set", "0", 10, 20), calls("unset", "ZKS_ENOENT", 30, 60)}},
		{"a set of which nothing is known", "", []string{calls("set", "ZKS_ETIMEDOUT", 10, 20), calls("set", "ZKS_EEXIST", 90, 95)}},
		{"an unset of which nothing is known", "", []string{calls("set", "0", 10, 20), calls("unset", "ZKS_ETIMEDOUT", 30, 31), calls("wait", "0", 90, 95)}},
		{"two who may have unset", "", []string{calls("set", "0", 10, 20), cutOff + calls("unset", "0", 27, 31), calls("unset", "0", 28, 30)}},
		{"two who have unset", "no order possible", []string{calls("set", "0", 10, 20), calls("unset", "0", 30, 31), calls("unset", "0", 33, 35)}},

		{"rounds", "", []string{inside(10, 30, 40, 60), inside(20, 25, 50, 55)}},
		{"a round begins without a member", "no order possible", []string{inside(10, 15, 40, 60), inside(20, 25, 50, 55)}},
		{"a round ends before the others", "no order possible", []string{inside(10, 30, 40, 45), inside(20, 25, 50, 55)}},
		{"a leave that does not wait", "", []string{dropWaits(inside(10, 30, 40, 45)), inside(20, 25, 50, 55)}},
		{"a leave that does not wait, and comes late", "no order possible",
			[]string{dropWaits(inside(10, 30, 300, 305)), inside(20, 25, 50, 55)}},
		{"a leave that does not wait, and is cut off", "no order possible",
			[]string{dropWaits(inside(10, 30, 300, 305)) + "\n306 - 0 state is=suspended", inside(20, 25, 50, 55)}},
		{"a leave that does not wait, in a session that is over", "",
			[]string{dropWaits(inside(10, 30, 300, 305)) + "\n306 - 0 state is=suspended\n307 - 0 state is=lost", inside(20, 25, 50, 55)}},
		{"a round of one", "no order possible", []string{inside(10, 30, 40, 60)}},
		{"a member of whom nothing is known", "", []string{inside(10, 30, 40, 60), "20 round 1 call op=enter path=/r timeout=0"}},
		{"a member that times out", "no order possible", []string{inside(10, 30, 40, 60), entered("ZKS_ETIMEDOUT", "")}},
		{"a member that times out while cut off", "", []string{inside(10, 30, 40, 60), entered("ZKS_ETIMEDOUT", cutOff)}},
		{"a member that dies", "", []string{inside(10, 30, 40, 60), entered("0", "")}},
	} {
		t.Run(test.name, func(t *testing.T) {
			wrong := judged(t, test.journals...)
			if test.wrong == "" && wrong != "" || !strings.Contains(wrong, test.wrong) {
				t.Errorf("%q was to be said, and this is: %s", test.wrong, wrong)
			}
		})
	}
}

const downgraded = `60 lock 1 call op=downgrade path=/l timeout=0
	65 lock 1 ret op=downgrade rc=0`

// reader2 is a further reader like that, with another token.
func reader2(reader string) string {
	return strings.ReplaceAll(reader, "token=8", "token=9")
}

func dropWaits(journal string) string {
	return strings.ReplaceAll(journal, "timeout=9", "timeout=0")
}

func entered(rc, before string) string {
	return before + "20 round 1 call op=enter path=/r timeout=0\n25 round 1 ret op=enter rc=" + rc
}
