package cli

import (
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// parentPoll is how often it is looked whether the parent is still there.
const parentPoll = time.Second

// listen returns the signals that end the process, and a function that stops listening. With withParent the end of the
// parent process counts as a SIGTERM: make passes the first signal on and then waits, but cannot do so when it is killed.
func listen(withParent bool) (signals <-chan os.Signal, ignore func()) {
	ended := make(chan os.Signal, 3) // two from the user, one for the parent
	signal.Notify(ended, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	var watch sync.WaitGroup
	if withParent {
		watch.Go(func() { watchParent(os.Getppid, ended, done) })
	}
	return ended, func() {
		signal.Stop(ended)
		close(done)
		watch.Wait()
	}
}

// watchParent sends a SIGTERM when the process gets another parent, which it does when its own has ended.
func watchParent(parent func() int, ended chan<- os.Signal, done <-chan struct{}) {
	tick := time.NewTicker(parentPoll)
	defer tick.Stop()
	first := parent()
	for {
		select {
		case <-done:
			return
		case <-tick.C:
		}
		if parent() != first {
			ended <- syscall.SIGTERM
			return
		}
	}
}
