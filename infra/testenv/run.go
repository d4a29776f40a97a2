package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"wafleet/infra/local/devpg/child"
	"wafleet/infra/testenv/internal/nodemodules"
	"wafleet/infra/testenv/internal/service"
)

const (
	exitFailed, exitUsage = 1, 2
	// startTimeout bounds the start of all servers, including what is fetched for the first time.
	startTimeout = 10 * time.Minute
	stopTimeout  = 15 * time.Second
)

// environment is what the command gets from the system.
type environment struct {
	get                   func(name string) string
	all                   []string
	stdin, stdout, stderr *os.File
}

func (e environment) say(format string, args ...any) {
	_, _ = fmt.Fprintf(e.stderr, "testenv: "+format+"\n", args...) // nobody is left to tell
}

// request is what the command line asks for.
type request struct {
	kinds   []service.Kind
	npmDirs []string
	command []string
}

func run(ctx context.Context, args []string, env environment) int {
	req, err := parse(args, env)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		env.say("%v", err)
		return exitUsage
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)

	servers, err := prepare(ctx, req, env, signals)
	code := exitFailed
	if err == nil {
		code, err = runCommand(ctx, req.command, servers, env, signals)
	}
	for _, server := range servers {
		if died := server.Err(); died != nil {
			env.say("%v", died)
			code = max(code, exitFailed)
		}
	}
	stopCtx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	if err := errors.Join(err, service.Stop(stopCtx, servers)); err != nil {
		env.say("%v", err)
		return max(code, exitFailed)
	}
	return code
}

func parse(args []string, env environment) (request, error) {
	var req request
	flags := flag.NewFlagSet("testenv", flag.ContinueOnError)
	flags.SetOutput(env.stderr)
	wanted := map[string]*bool{}
	for _, kind := range service.All() {
		wanted[kind.Name] = flags.Bool(kind.Name, false, "start "+kind.Title+" and set "+kind.Variable)
	}
	flags.Func("npm", "install what the package-lock.json in this `folder` says (may be repeated)", func(dir string) error {
		req.npmDirs = append(req.npmDirs, dir)
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return req, err //nolint:wrapcheck // a message for the user, or ErrHelp
	}
	if req.command = flags.Args(); len(req.command) == 0 {
		return req, errors.New("no command given: testenv [flags] -- command [arguments]")
	}
	for _, kind := range service.All() {
		if *wanted[kind.Name] && env.get(kind.Variable) == "" {
			req.kinds = append(req.kinds, kind)
		}
	}
	return req, nil
}

// prepare starts the servers and installs the packages. A signal ends it. The servers that run are returned also with an
// error, for the caller to stop.
func prepare(ctx context.Context, req request, env environment, signals <-chan os.Signal) (running []*service.Server, err error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	var failed []error
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		running, failed = service.Start(ctx, req.kinds)
		for _, dir := range req.npmDirs {
			if err := (nodemodules.Installer{Npm: "npm"}).Install(ctx, dir); err != nil {
				failed = append(failed, fmt.Errorf("tests that need %s: %w", dir, err))
			}
		}
	}()
	select {
	case <-finished:
	case sig := <-signals:
		cancel()
		<-finished
		return running, fmt.Errorf("ended by %v", sig)
	}
	if env.get("REQUIRE_ALL") == "1" {
		return running, errors.Join(failed...)
	}
	for _, reason := range failed {
		env.say("skipping %v", reason)
	}
	return running, nil
}

// runCommand runs the command to its end and returns its exit code, or as shells do 128 plus the signal that ended it.
func runCommand(ctx context.Context, command []string, servers []*service.Server, env environment, signals <-chan os.Signal) (int, error) {
	cmd := exec.CommandContext(context.WithoutCancel(ctx), command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = env.stdin, env.stdout, env.stderr
	cmd.Env = env.all
	for _, server := range servers {
		cmd.Env = append(cmd.Env, server.Kind.Variable+"="+server.URL)
	}
	process, err := child.Start(cmd, syscall.SIGTERM)
	if err != nil {
		return exitFailed, err
	}
	for {
		select {
		case sig := <-signals:
			// go test passes nothing on to the tests: its whole group gets the signal, as from a terminal.
			if err := process.SignalGroup(sig.(syscall.Signal)); err != nil {
				env.say("%v", err)
			}
		case <-process.Done():
			return exitCode(process.Err())
		}
	}
}

func exitCode(err error) (int, error) {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return 0, err
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return exit.ExitCode(), nil
}
