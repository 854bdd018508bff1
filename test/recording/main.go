// Command recording runs a program and makes a picture of what it printed, and when: an
// SVG that moves, needs no script and looks alike on light and dark pages.
//
//	go run ./test/recording --title 'make demo' --out docs/images/demo.svg -- go run ./test/demo
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "recording:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	title := flag.String("title", "", "what the reader would `type`")
	out := flag.String("out", "", "the SVG `file` to write")
	flag.Parse()
	if flag.NArg() == 0 {
		return errors.New("nothing to run: give a command after --")
	}
	lines, err := record(ctx, flag.Args())
	if err != nil {
		return err
	}
	return os.WriteFile(*out, draw(*title, play(lines)), 0o644)
}

// line is one that was printed, and when, from the first one on.
type line struct {
	text string
	at   time.Duration
}

func record(ctx context.Context, command []string) (lines []line, err error) {
	program := exec.CommandContext(ctx, command[0], command[1:]...)
	program.Stderr = os.Stderr
	output, err := program.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := program.Start(); err != nil {
		return nil, err
	}
	var first time.Time
	scanner := bufio.NewScanner(output)
	for scanner.Scan() {
		now := time.Now()
		if first.IsZero() && scanner.Text() == "" {
			continue // a blank line above everything
		}
		if first.IsZero() {
			first = now
		}
		lines = append(lines, line{scanner.Text(), now.Sub(first)})
	}
	return lines, errors.Join(scanner.Err(), program.Wait())
}
