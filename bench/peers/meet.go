// SPDX-License-Identifier: MIT

// What bench/core.c and bench/meet.c measure, by Go's coroutines on one
// processor: meet yield N | spawn | chan | select | mutex | timeout N | ring N.
// Processor time, the median of the batches, one case a process.
package main

import (
	"fmt"
	"os"
	"runtime"
	"sort"
	"strconv"
	"sync"
	"syscall"
	"time"
)

const (
	batches  = 9
	meetings = 200000
	spawns   = 100000
	switches = 1000000
)

func cpu() float64 {
	var usage syscall.Rusage

	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return float64(usage.Utime.Nano() + usage.Stime.Nano())
}

// Calls f once to warm up and then once a batch; prints ns for each of n.
func measure(name string, n int, f func()) {
	var ns []float64

	f()
	for i := 0; i < batches; i++ {
		began := cpu()
		f()
		ns = append(ns, (cpu()-began)/float64(n))
	}
	sort.Float64s(ns)
	fmt.Printf("{\"library\": \"go\", \"case\": \"%s\", \"ns\": %.2f}\n",
		name, ns[batches/2])
}

func yield(n int) {
	stop := false
	turns := switches / n

	for i := 1; i < n; i++ {
		go func() {
			for !stop {
				runtime.Gosched()
			}
		}()
	}
	measure(fmt.Sprintf("yield %d", n), turns*n, func() {
		for i := 0; i < turns; i++ {
			runtime.Gosched()
		}
	})
	stop = true
}

func spawn(int) {
	measure("spawn", spawns, func() {
		var group sync.WaitGroup

		for i := 0; i < spawns; i++ {
			group.Add(1)
			go group.Done()
			group.Wait()
		}
	})
}

func channels(int) {
	there := make(chan uint64)
	back := make(chan uint64)

	go func() {
		for value := range there {
			back <- value
		}
	}()
	measure("chan", meetings, func() {
		for i := uint64(0); i < meetings; i++ {
			there <- i
			<-back
		}
	})
}

func choose(int) {
	var chans [2]chan uint64

	for i := range chans {
		chans[i] = make(chan uint64)
	}
	go func() {
		for i := uint64(0); ; i++ {
			chans[i&1] <- i
		}
	}()
	measure("select", meetings, func() {
		for i := 0; i < meetings; i++ {
			select {
			case <-chans[0]:
			case <-chans[1]:
			}
		}
	})
}

func mutex(int) {
	var lock sync.Mutex
	contend := func(n int) {
		for i := 0; i < n; i++ {
			lock.Lock()
			runtime.Gosched()
			lock.Unlock()
		}
	}

	go contend(1 << 62)
	measure("mutex", meetings, func() { contend(meetings / 2) })
}

func timeout(n int) {
	random := uint64(1)
	set := func() *time.Timer {
		random = random*6364136223846793005 + 1442695040888963407
		return time.AfterFunc(time.Minute+time.Duration(random>>26),
			func() { panic("a timeout passed") })
	}
	timers := make([]*time.Timer, n)

	for i := range timers {
		timers[i] = set()
	}
	measure("timeout", meetings, func() {
		for i := 0; i < meetings; i++ {
			set().Stop()
		}
	})
}

func ring(n int) {
	chans := make([]chan uint64, n)

	for i := range chans {
		chans[i] = make(chan uint64)
	}
	for i := 0; i+1 < n; i++ {
		go func(in, out chan uint64) {
			for value := range in {
				out <- value + 1
			}
		}(chans[i], chans[i+1])
	}
	runtime.Gosched()
	began := cpu()
	chans[0] <- 0
	if <-chans[n-1] != uint64(n-1) {
		panic("the ring lost count")
	}
	fmt.Printf("{\"library\": \"go\", \"case\": \"ring\", \"n\": %d, "+
		"\"ns\": %.1f}\n", n, (cpu()-began)/float64(n))
}

func main() {
	cases := map[string]func(int){
		"yield": yield, "spawn": spawn, "chan": channels, "select": choose,
		"mutex": mutex, "timeout": timeout, "ring": ring,
	}
	n := 0

	runtime.GOMAXPROCS(1)
	if len(os.Args) > 2 {
		n, _ = strconv.Atoi(os.Args[2])
	}
	if len(os.Args) < 2 || cases[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: meet CASE [N]")
		os.Exit(2)
	}
	cases[os.Args[1]](n)
}
