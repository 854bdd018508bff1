package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// reader is a program around a block of docs/python.md. It reads an entry a few thousand times, and prints
// how often its two halves differed, and the last one.
type reader struct {
	main    string
	command []string
}

var readers = map[string]reader{
	"Leoflow.java": {`class Main { public static void main(String[] a) throws Exception {
		int torn = 0; String last = "";
		for (int i = 0; i < 3000; i++) { last = Leoflow.read("variables", "pair"); String[] p = last.split(" "); if (!p[0].equals(p[1])) torn++; }
		System.out.println(torn + " " + last); } }`, []string{"java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "Main.java"}},
	"leoflow.mjs": {`import { read } from "./leoflow.mjs"; let torn = 0, last = "";
		for (let i = 0; i < 3000; i++) { last = read("variables", "pair"); const [a, b] = last.split(" "); if (a !== b) torn++; }
		console.log(torn + " " + last);`, []string{"node", "main.mjs"}},
	"leoflow.go": {`package main
		import ("cmp"; "errors"; "fmt"; "io/fs"; "os"; "path/filepath"; "strings")
		func main() { torn, last := 0, ""
		for range 3000 { text, err := read("variables", "pair"); if err != nil { panic(err) }
		last = text; if a, b, _ := strings.Cut(text, " "); a != b { torn++ } }
		fmt.Println(torn, last) }`, []string{"go", "run", "main.go"}},
}

// readers runs the blocks of docs/python.md while the volume is replaced.
func (j *judge) readers(ctx context.Context) error {
	text, err := os.ReadFile(filepath.Join(j.root, "docs", "python.md"))
	if err != nil {
		return err
	}
	blocks := map[string]string{}
	for _, match := range regexp.MustCompile("(?s)```[a-z]+\n// ([\\w.]+)\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		blocks[match[1]] = match[2]
	}
	if len(blocks) != len(readers) {
		return fmt.Errorf("docs/python.md has %d readers, want %d", len(blocks), len(readers))
	}
	for file, r := range readers {
		said, rotations, err := j.read(ctx, file, r, blocks[file])
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		words := strings.Fields(said)
		if len(words) != 3 || words[0] != "0" || rotations < 10 {
			j.fail("%s: %q during %d rotations, want no torn read", file, said, rotations)
		}
		say("%s: 3000 reads during %d rotations, %s torn", file, rotations, words[0])
	}
	return nil
}

// source is the program and the block as files; of some languages all is in one.
func (r reader) source(file, block string) map[string]string {
	switch filepath.Ext(file) {
	case ".go":
		return map[string]string{"main.go": r.main + "\n" + block}
	case ".java":
		imports, class, _ := strings.Cut(block, "\nclass ")
		return map[string]string{"Main.java": imports + "\n" + r.main + "\nclass " + class}
	}
	return map[string]string{"main.mjs": r.main, file: block}
}

func (j *judge) read(ctx context.Context, file string, r reader, block string) (said string, rotations int, err error) {
	dir := filepath.Join(j.dir, file+"-reader")
	volume := rotating{filepath.Join(dir, "volume")}
	if err := os.MkdirAll(volume.dir, 0o700); err != nil {
		return "", 0, err
	}
	for name, code := range r.source(file, block) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(code), 0o600); err != nil {
			return "", 0, err
		}
	}
	if err := volume.show(0); err != nil {
		return "", 0, err
	}
	var done atomic.Bool
	ended := make(chan error, 1)
	go func() {
		for !done.Load() {
			rotations++
			if err := volume.show(rotations); err != nil {
				ended <- err
				return
			}
		}
		ended <- nil
	}()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, r.command[0], r.command[1:]...)
	command.Dir, command.Env = dir, append(os.Environ(), "LEOFLOW_DIR="+volume.dir, "GO111MODULE=off")
	printed, err := command.CombinedOutput()
	done.Store(true)
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, printed)
	}
	err = errors.Join(err, <-ended)
	return strings.TrimSpace(string(printed)), rotations, err
}

// rotating is a volume that is replaced as the driver does it.
type rotating struct{ dir string }

func (v rotating) show(number int) error {
	name, link := ".."+strconv.Itoa(number), filepath.Join(v.dir, "..data")
	text := strconv.Itoa(number)
	err := errors.Join(
		os.MkdirAll(filepath.Join(v.dir, name, "variables"), 0o700),
		os.WriteFile(filepath.Join(v.dir, name, "variables", "pair"), []byte(text+" "+text), 0o600),
		os.Symlink(name, link+"_tmp"), os.Rename(link+"_tmp", link))
	if number == 0 {
		return err
	}
	return errors.Join(err, os.RemoveAll(filepath.Join(v.dir, ".."+strconv.Itoa(number-1))))
}
