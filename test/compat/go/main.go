// Go's client against the server at ZKSYNC_DIRECT, told as TAP. Each test has a path of its own.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"sync/atomic"
	"time"

	"github.com/go-zookeeper/zk"
)

const limit = 60 * time.Second

var world = zk.WorldACL(zk.PermAll)

// failure is what the checks below panic with.
type failure struct{ text string }

func check(fact bool, format string, values ...any) {
	if !fact {
		panic(failure{fmt.Sprintf(format, values...)})
	}
}

func ok(err error) {
	check(err == nil, "error: %v", err)
}

func is(err, expected error) {
	check(errors.Is(err, expected), "expected %v, got %v", expected, err)
}

func got[T any](value T, err error) T {
	ok(err)
	return value
}

func next[T any](events <-chan T) T {
	select {
	case event := <-events:
		return event
	case <-time.After(limit):
		panic(failure{"nothing came"})
	}
}

// quiet is a logger: the client tells of each connection.
type quiet struct{}

func (quiet) Printf(string, ...any) {}

// connect gives a client with a session, and what becomes of its session from then on.
func connect() (*zk.Conn, <-chan zk.Event) {
	states := make(chan zk.Event, 1000)
	conn, events, err := zk.Connect([]string{os.Getenv("ZKSYNC_DIRECT")}, 15*time.Second,
		zk.WithLogger(quiet{}))
	ok(err)
	go func() {
		for event := range events {
			states <- event
		}
	}()
	await(states, zk.StateHasSession)
	return conn, states
}

func await(states <-chan zk.Event, wanted zk.State) {
	for next(states).State != wanted {
	}
}

func tool(what string) {
	command := exec.Command("python3", os.Getenv("ZKSYNC_ENSEMBLE_TOOL"), what, "1")
	command.Stderr = os.Stderr
	ok(command.Run())
}

func creation(c *zk.Conn, path string) {
	data, stat, err := c.Get(path)
	ok(err)
	check(len(data) == 0 && stat.Version == 0 && stat.NumChildren == 0, "a new znode: %v", stat)
	got(c.Create(path+"/a", []byte("x"), 0, world))
	_, err = c.Create(path+"/a", nil, 0, world)
	is(err, zk.ErrNodeExists)
	_, err = c.Create(path+"/no/parent", nil, 0, world)
	is(err, zk.ErrNoNode)
	is(c.Delete(path, -1), zk.ErrNotEmpty)
	is(c.Delete(path+"/a", 3), zk.ErrBadVersion)
	_, err = c.Set(path+"/a", nil, 3)
	is(err, zk.ErrBadVersion)
	check(got(c.Set(path+"/a", []byte("yy"), 0)).DataLength == 2, "the length")
	for _, flags := range []int32{zk.FlagSequence, zk.FlagSequence | zk.FlagEphemeral} {
		name := got(c.Create(path+"/s", nil, flags, world))
		check(regexp.MustCompile(`/s\d{10}$`).MatchString(name), "a sequential name: %s", name)
	}
	check(got(c.Sync(path)) == path, "the path that was synchronised")
	got(c.Create(path+"/e", nil, zk.FlagEphemeral, world))
	_, err = c.Create(path+"/e/child", nil, 0, world)
	is(err, zk.ErrNoChildrenForEphemerals)
}

func containersAndTTL(c *zk.Conn, path string) {
	got(c.CreateContainer(path+"/c", nil, zk.FlagContainer, world))
	got(c.CreateTTL(path+"/t", nil, zk.FlagTTL, world, time.Minute))
	name := got(c.CreateTTL(path+"/s", nil, zk.FlagPersistentSequentialWithTTL, world, time.Minute))
	check(regexp.MustCompile(`/s\d{10}$`).MatchString(name), "a sequential name: %s", name)
	children, _, err := c.Children(path)
	ok(err)
	check(len(children) == 3, "three children: %v", children)
}

func ephemerals(c *zk.Conn, path string) {
	other, _ := connect()
	name := got(other.CreateProtectedEphemeralSequential(path+"/p-", nil, world))
	exists, stat, gone, err := c.ExistsW(name)
	ok(err)
	check(exists && stat.EphemeralOwner == other.SessionID(), "its owner: %v", stat)
	other.Close()
	check(next(gone).Type == zk.EventNodeDeleted, "it goes with its session")
}

func watches(c *zk.Conn, path string) {
	_, _, children, err := c.ChildrenW(path)
	ok(err)
	_, _, created, err := c.ExistsW(path + "/a")
	ok(err)
	got(c.Create(path+"/a", nil, 0, world))
	check(next(children).Type == zk.EventNodeChildrenChanged, "the children changed")
	check(next(created).Type == zk.EventNodeCreated, "it was created")
	_, _, data, err := c.GetW(path + "/a")
	ok(err)
	got(c.Set(path+"/a", []byte("1"), -1))
	event := next(data)
	check(event.Type == zk.EventNodeDataChanged && event.Path == path+"/a", "the data changed: %v", event)
}

func multi(c *zk.Conn, path string) {
	results := got(c.Multi(
		&zk.CreateRequest{Path: path + "/a", Data: []byte("1"), Acl: world},
		&zk.SetDataRequest{Path: path + "/a", Data: []byte("2"), Version: 0},
		&zk.CheckVersionRequest{Path: path + "/a", Version: 1},
		&zk.DeleteRequest{Path: path + "/a", Version: 1}))
	check(len(results) == 4 && results[0].String == path+"/a" && results[1].Stat.Version == 1,
		"the results: %v", results)
	results, err := c.Multi(
		&zk.CreateRequest{Path: path + "/b", Acl: world},
		&zk.DeleteRequest{Path: path + "/none", Version: -1})
	is(err, zk.ErrNoNode)
	check(len(results) == 2 && errors.Is(results[1].Error, zk.ErrNoNode), "the results: %v", results)
	exists, _, err := c.Exists(path + "/b")
	ok(err)
	check(!exists, "nothing was done")
}

func authAndACL(c *zk.Conn, path string) {
	knows, _ := connect()
	defer knows.Close()
	ok(knows.AddAuth("digest", []byte("user:secret")))
	acl := zk.DigestACL(zk.PermAll, "user", "secret")
	got(knows.Create(path+"/a", []byte("x"), 0, acl))
	_, _, err := c.Get(path + "/a")
	is(err, zk.ErrNoAuth)
	data, _, err := knows.Get(path + "/a")
	ok(err)
	check(string(data) == "x", "the data")
	found, stat, err := knows.GetACL(path + "/a")
	ok(err)
	check(len(found) == 1 && found[0] == acl[0], "the ACL: %v", found)
	check(got(knows.SetACL(path+"/a", world, stat.Aversion)).Aversion == 1, "the version of the ACL")
	got(c.Set(path+"/a", nil, -1))
	_, err = c.Create(path+"/b", nil, 0, zk.AuthACL(zk.PermAll))
	is(err, zk.ErrInvalidACL)
}

func lock(c *zk.Conn, path string) {
	var inside atomic.Int32
	done := make(chan error, 8)
	for i := 0; i < cap(done); i++ {
		go func() {
			conn, _ := connect()
			defer conn.Close()
			for k := 0; k < 10; k++ {
				l := zk.NewLock(conn, path, world)
				if err := l.Lock(); err != nil {
					done <- err
					return
				}
				if inside.Add(1) != 1 {
					done <- errors.New("two hold the lock")
					return
				}
				inside.Add(-1)
				if err := l.Unlock(); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for i := 0; i < cap(done); i++ {
		ok(next(done))
	}
}

func restart(_ *zk.Conn, path string) {
	c, states := connect()
	defer c.Close()
	ok(c.AddAuth("digest", []byte("user:secret")))
	got(c.Create(path+"/e", nil, zk.FlagEphemeral, zk.AuthACL(zk.PermAll)))
	session := c.SessionID()
	_, _, data, err := c.GetW(path + "/e")
	ok(err)
	_, _, created, err := c.ExistsW(path + "/new")
	ok(err)
	_, _, children, err := c.ChildrenW(path)
	ok(err)
	tool("kill")
	await(states, zk.StateDisconnected)
	tool("start")
	await(states, zk.StateHasSession)
	check(c.SessionID() == session, "it is the same session")
	got(c.Set(path+"/e", []byte("1"), -1))
	check(next(data).Type == zk.EventNodeDataChanged, "the data changed")
	got(c.Create(path+"/new", nil, 0, world))
	check(next(created).Type == zk.EventNodeCreated, "it was created")
	check(next(children).Type == zk.EventNodeChildrenChanged, "the children changed")
}

func words(*zk.Conn, string) {
	check(zk.FLWRuok([]string{os.Getenv("ZKSYNC_DIRECT")}, limit)[0], "ruok")
}

func run(c *zk.Conn, path string, test func(*zk.Conn, string)) (wrong string) {
	defer func() {
		if reason := recover(); reason != nil {
			failed, known := reason.(failure)
			if !known {
				panic(reason)
			}
			wrong = failed.text
		}
	}()
	got(c.Create(path, nil, 0, world))
	test(c, path)
	return ""
}

func main() {
	tests := []struct {
		name string
		test func(*zk.Conn, string)
	}{
		{"creation", creation}, {"containers and TTL", containersAndTTL}, {"ephemerals", ephemerals},
		{"watches", watches}, {"multi", multi}, {"auth and ACL", authAndACL}, {"lock", lock},
		{"restart", restart}, {"four-letter words", words},
	}
	fmt.Printf("1..%d\n", len(tests))
	c, _ := connect()
	code := 0
	for i, test := range tests {
		path := fmt.Sprintf("/compat-go-%d-%d", os.Getpid(), i)
		result := "ok"
		if wrong := run(c, path, test.test); wrong != "" {
			fmt.Printf("# %s\n", wrong)
			result, code = "not ok", 1
		}
		fmt.Printf("%s %d - %s\n", result, i+1, test.name)
	}
	c.Close()
	os.Exit(code)
}
