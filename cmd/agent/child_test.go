package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// child is the program under supervision: it tells what happens to it, a line each. Its
// first argument names a file that it locks, to find out whether two of it ever run at
// once; the others say how it behaves:
//
//	deaf    it ends by nothing but KILL
//	slow    it ends by USR1 alone
//	litter  it leaves a process behind that holds the lock
func child() {
	behaves := func(how string) bool { return strings.Contains(strings.Join(os.Args[2:], " "), how) }
	lock, err := os.OpenFile(os.Args[1], os.O_RDWR, 0)
	if err != nil || unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		fmt.Println("two at once")
		return
	}
	if behaves("litter") {
		litter := exec.CommandContext(context.Background(), "cat")
		litter.Stdin = os.Stdin
		litter.ExtraFiles = []*os.File{lock}
		_ = litter.Start()
	}
	signals := make(chan os.Signal, 100)
	signal.Notify(signals, unix.SIGHUP, unix.SIGQUIT, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2)
	fmt.Println("start", os.Getenv("AIRFLOW_VAR_REGION"))
	for number := range signals {
		fmt.Println(unix.SignalName(number.(syscall.Signal)))
		switch {
		case number == unix.SIGTERM && !behaves("deaf") && !behaves("slow"):
			os.Exit(3)
		case number == unix.SIGUSR1 && behaves("slow"):
			os.Exit(5)
		}
	}
}
