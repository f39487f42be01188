// Locks and barriers of the Go package zksync, for ../mixed.py. The folder ./zksync is a copy of the package's
// sources, which ../run makes; the servers are those of ZKSYNC_DIRECT.
//
//  lock PATH FOLDER ROUNDS    takes the lock so often, for reading and for writing, and works under it
//  hold PATH                  takes the lock for writing, says "held" and keeps it
//  barrier set|unset|wait PATH
//  work read|write FOLDER WHO  what is done under a lock, here and by the command of `zksync lock`
//
// Work for writing increments the file "counter" in two steps. All work leaves a mark while it goes on, and
// fails if it meets the mark of a writer, or as a writer any mark. Each piece of work is a line of "log".

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/samuel/go-zookeeper/zk"

	"zksync-compat-package/zksync"
)

const pause = time.Millisecond

var world = zk.WorldACL(zk.PermAll)

type quiet struct{}

func (quiet) Printf(string, ...interface{}) {}

func connect() (*zk.Conn, error) {
	zk.DefaultLogger = quiet{} // It tells of each connection, between our lines.
	conn, events, err := zk.Connect(strings.Split(os.Getenv("ZKSYNC_DIRECT"), ","), 5*time.Second)
	if err != nil {
		return nil, err
	}
	for event := range events {
		if event.State == zk.StateHasSession {
			return conn, nil
		}
	}
	return nil, errors.New("no session")
}

func marks(folder, own string) (writers, readers int, err error) {
	entries, err := os.ReadDir(folder)
	for _, entry := range entries {
		switch {
		case entry.Name() == own:
		case strings.HasPrefix(entry.Name(), "write."):
			writers++
		case strings.HasPrefix(entry.Name(), "read."):
			readers++
		}
	}
	return writers, readers, err
}

func alone(folder, own string, writes bool) error {
	writers, readers, err := marks(folder, own)
	if err == nil && (writers > 0 || (writes && readers > 0)) {
		err = fmt.Errorf("%s met %d writers and %d readers", own, writers, readers)
	}
	return err
}

func count(folder string, writes bool) error {
	file := filepath.Join(folder, "counter")
	before, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	time.Sleep(pause)
	if writes {
		n, err := strconv.Atoi(string(before))
		if err != nil {
			return err
		}
		return os.WriteFile(file, []byte(strconv.Itoa(n+1)), 0o644)
	}
	after, err := os.ReadFile(file)
	if err == nil && string(after) != string(before) {
		err = fmt.Errorf("the counter went from %s to %s under a reader", before, after)
	}
	return err
}

func note(folder, line string) error {
	log, err := os.OpenFile(filepath.Join(folder, "log"), os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	_, err = log.WriteString(line + "\n")
	return err
}

func work(mode, folder, who string) error {
	writes := mode == "write"
	own := fmt.Sprintf("%s.%s.%d", mode, who, os.Getpid())
	mark := filepath.Join(folder, own)
	if err := os.WriteFile(mark, nil, 0o644); err != nil {
		return err
	}
	defer os.Remove(mark)
	if err := alone(folder, own, writes); err != nil {
		return err
	}
	if err := count(folder, writes); err != nil {
		return err
	}
	if err := note(folder, who+" "+mode); err != nil {
		return err
	}
	return alone(folder, own, writes)
}

func lock(path, folder string, rounds int) error {
	conn, err := connect()
	if err != nil {
		return err
	}
	defer conn.Close()
	mutex := zksync.NewRWMutex(conn, path, world)
	for i := 0; i < rounds; i++ {
		mode, take := "write", mutex.WLock
		if i%2 == 1 {
			mode, take = "read", mutex.RLock
		}
		if err := take(); err != nil {
			return fmt.Errorf("%s lock %d: %w", mode, i, err)
		}
		if err := work(mode, folder, "go"); err != nil {
			return err
		}
		if err := mutex.Unlock(); err != nil {
			return fmt.Errorf("unlock %d: %w", i, err)
		}
	}
	return nil
}

func hold(path string) error {
	conn, err := connect()
	if err != nil {
		return err
	}
	if err := zksync.NewRWMutex(conn, path, world).WLock(); err != nil {
		return err
	}
	fmt.Println("held")
	select {}
}

func barrier(what, path string) error {
	conn, err := connect()
	if err != nil {
		return err
	}
	defer conn.Close()
	b := zksync.NewBarrier(conn, path, world)
	switch what {
	case "set":
		return b.Set()
	case "unset":
		return b.Unset()
	default:
		return b.Wait()
	}
}

func run(args []string) error {
	switch {
	case len(args) == 4 && args[0] == "lock":
		rounds, err := strconv.Atoi(args[3])
		if err != nil {
			return err
		}
		return lock(args[1], args[2], rounds)
	case len(args) == 2 && args[0] == "hold":
		return hold(args[1])
	case len(args) == 3 && args[0] == "barrier":
		return barrier(args[1], args[2])
	case len(args) == 4 && args[0] == "work":
		return work(args[1], args[2], args[3])
	}
	return errors.New("see the comment at the beginning of main.go")
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "go-package:", err)
		os.Exit(1)
	}
}
