package child

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// firmGrace is how long Stop gives a program to obey the second signal.
const firmGrace = 5 * time.Second

// Process is a program that was started. Its methods may be called from several goroutines.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error // set before done is closed
}

// Start starts the command, which must not have been started before, and returns at once. The program gets the signal
// onOrphaned when this process dies (Linux only). The command's SysProcAttr may hold a Credential; Pdeathsig and
// Setpgid are set here. Give Stdout and Stderr as files: for anything else a grandchild that holds them open delays Done.
func Start(cmd *exec.Cmd, onOrphaned syscall.Signal) (*Process, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	signalOrphan(cmd.SysProcAttr, onOrphaned)

	p := &Process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		p.err = cmd.Wait()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return p, nil
}

// PID is the program's process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the program has ended and has been waited for.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err is nil until Done is closed, and afterwards what the program ended with: nil for exit code 0, else usually an
// *exec.ExitError.
func (p *Process) Err() error {
	select {
	case <-p.done:
		return p.err
	default:
		return nil
	}
}

// Signal sends a signal to the program. One that has ended is no error.
func (p *Process) Signal(sig syscall.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("send %v to process %d: %w", sig, p.PID(), err)
	}
	return nil
}

// SignalGroup sends a signal to the program and to what it has started in its process group.
func (p *Process) SignalGroup(sig syscall.Signal) error {
	if err := syscall.Kill(-p.PID(), sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("send %v to process group %d: %w", sig, p.PID(), err)
	}
	return nil
}

// Stop ends the program and waits until it has ended: with the polite signal, with the firm one when ctx is done before
// the program is, and with SIGKILL when that does not help either. The error says which force it took; how the program
// ended is told by Err. Stopping again waits again.
func (p *Process) Stop(ctx context.Context, polite, firm syscall.Signal) error {
	if err := p.Signal(polite); err != nil {
		return err
	}
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
	}
	if err := p.Signal(firm); err != nil {
		return err
	}
	select {
	case <-p.done:
		return fmt.Errorf("process %d ignored %v and was sent %v: %w", p.PID(), polite, firm, context.Cause(ctx))
	case <-time.After(firmGrace):
	}
	if err := p.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.done
	return fmt.Errorf("process %d ignored %v and %v and was killed: %w", p.PID(), polite, firm, context.Cause(ctx))
}
