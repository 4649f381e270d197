// The load generator for etcd: its own Go client, closed loop, one goroutine a client.
// etcdload -endpoints a,b,c -mode put|get|stale|lock|batch|leader -clients N -seconds S [-rate R]; one JSON line on stdout.
package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"sort"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
)

const valueBytes = 256

// keys is how many distinct keys one client writes or reads in turn.
const keys = 100

type result struct {
	Rate  float64 `json:"rate"`
	P50Ms float64 `json:"p50Ms"`
	P99Ms float64 `json:"p99Ms"`
	Count int     `json:"count"`
}

func main() {
	endpoints := flag.String("endpoints", "127.0.0.1:23791", "client addresses, comma separated")
	mode := flag.String("mode", "put", "put, get, stale, lock, batch, or leader: count says whether the endpoint leads")
	clients := flag.Int("clients", 1, "clients at once")
	seconds := flag.Float64("seconds", 3, "measured time")
	rate := flag.Float64("rate", 0, "operations a second over all clients; 0 is as fast as answers come")
	flag.Parse()
	one, err := dial(*endpoints)
	fail(err)
	defer one.Close()
	if *mode == "leader" {
		status, err := one.Status(context.Background(), one.Endpoints()[0])
		fail(err)
		count := 0
		if status.Leader == status.Header.MemberId {
			count = 1
		}
		json.NewEncoder(os.Stdout).Encode(result{Count: count})
		return
	}
	fail(fill(one))
	run := step(one, *mode)
	measure(*clients, 500*time.Millisecond, 0, run)
	json.NewEncoder(os.Stdout).Encode(measure(*clients, time.Duration(*seconds*float64(time.Second)), *rate, run))
}

func dial(endpoints string) (*clientv3.Client, error) {
	config := clientv3.Config{Endpoints: strings.Split(endpoints, ","), DialTimeout: 5 * time.Second}
	if strings.HasPrefix(endpoints, "https") {
		// The members' certificates are signed by themselves (--auto-tls).
		config.TLS = &tls.Config{InsecureSkipVerify: true}
	}
	return clientv3.New(config)
}

func fill(client *clientv3.Client) error {
	value := strings.Repeat("x", valueBytes)
	for i := 0; i < keys; i++ {
		if _, err := client.Put(context.Background(), key(0, i), value); err != nil {
			return err
		}
	}
	return nil
}

// step is one operation of one client.
func step(client *clientv3.Client, mode string) func(worker, turn int) error {
	value := strings.Repeat("x", valueBytes)
	ctx := context.Background()
	switch mode {
	case "put":
		return func(worker, turn int) error {
			_, err := client.Put(ctx, key(worker, turn%keys), value)
			return err
		}
	case "get":
		return func(_, turn int) error {
			_, err := client.Get(ctx, key(0, turn%keys))
			return err
		}
	case "stale":
		return func(_, turn int) error {
			_, err := client.Get(ctx, key(0, turn%keys), clientv3.WithSerializable())
			return err
		}
	case "batch":
		// etcd takes at most 128 operations a transaction by default, so 1000 files are eight of them.
		return func(worker, turn int) error { return batch(client, worker, value) }
	case "lock":
		return locker(client)
	}
	fail(fmt.Errorf("unknown mode %s", mode))
	return nil
}

func batch(client *clientv3.Client, worker int, value string) error {
	for from := 0; from < 1000; from += 125 {
		var ops []clientv3.Op
		for i := from; i < from+125; i++ {
			ops = append(ops, clientv3.OpPut(key(worker, i), value))
		}
		if _, err := client.Txn(context.Background()).Then(ops...).Commit(); err != nil {
			return err
		}
	}
	return nil
}

// locker keeps one session a client, as etcd's recipes do, so that only lock and unlock are timed.
func locker(client *clientv3.Client) func(worker, turn int) error {
	var sessions sync.Map
	return func(worker, _ int) error {
		held, ok := sessions.Load(worker)
		if !ok {
			session, err := concurrency.NewSession(client, concurrency.WithTTL(30))
			if err != nil {
				return err
			}
			held = concurrency.NewMutex(session, fmt.Sprintf("/locks/%d", worker))
			sessions.Store(worker, held)
		}
		mutex := held.(*concurrency.Mutex)
		if err := mutex.Lock(context.Background()); err != nil {
			return err
		}
		return mutex.Unlock(context.Background())
	}
}

func measure(clients int, length time.Duration, rate float64, run func(worker, turn int) error) result {
	var group sync.WaitGroup
	taken := make([][]float64, clients)
	start := time.Now()
	end := start.Add(length)
	for worker := 0; worker < clients; worker++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for turn := 0; time.Now().Before(end); turn++ {
				if rate > 0 {
					// Worker w's turn t is due at (t * clients + w) / rate.
					due := start.Add(time.Duration(float64(turn*clients+worker) / rate * float64(time.Second)))
					time.Sleep(time.Until(due))
				}
				began := time.Now()
				fail(run(worker, turn))
				taken[worker] = append(taken[worker], float64(time.Since(began).Nanoseconds())/1e6)
			}
		}()
	}
	group.Wait()
	elapsed := time.Since(start).Seconds()
	var all []float64
	for _, some := range taken {
		all = append(all, some...)
	}
	sort.Float64s(all)
	if len(all) == 0 {
		return result{}
	}
	return result{float64(len(all)) / elapsed, all[len(all)/2], all[len(all)*99/100], len(all)}
}

func key(worker, turn int) string { return fmt.Sprintf("/bench/%d/%d", worker, turn) }

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "etcdload:", err)
		os.Exit(1)
	}
}
