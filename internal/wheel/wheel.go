// Package wheel writes the project's Python packages as wheels. A wheel's bytes follow from the
// source and the version alone: nothing in it is compressed, dated or compiled.
package wheel

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Project is a Python package of this repository.
type Project struct {
	// Name is what it is called on an index, Packages are the directories below python/.
	Name, Summary string
	Packages      []string
	// PathFile is a .pth of one path line, which Python adds to the end of its search path.
	PathFile string
	Requires []string
	// EntryPoints is the text of entry_points.txt.
	EntryPoints string
}

// Runtime is the task's side.
var Runtime = Project{
	Name: "leoflow-runtime", Summary: "The task's side of Leoflow's secrets: look-ups in the pod's volume, with and without Airflow",
	Packages: []string{"leoflow_runtime"}, EntryPoints: "[pytest11]\nleoflow = leoflow_runtime.pytest_plugin\n",
}

// Standin is what Airflow's hooks run on without Airflow. It is no part of Runtime, so that no image
// with a real Airflow ever has it.
var Standin = Project{
	Name: "leoflow-airflow-standin", Summary: "Lets the hooks of Airflow's provider packages run without Airflow",
	Packages: []string{"leoflow_airflow_standin"}, PathFile: "leoflow_airflow_standin/_compat",
	Requires: []string{"leoflow-runtime", "packaging"},
}

// Projects are all that are handed out.
var Projects = []Project{Runtime, Standin}

// Wheel is the file of a project.
type Wheel struct {
	Name    string
	Content []byte
}

// Build makes the wheel of a project from the repository. The version is git describe's word.
func Build(source fs.FS, p Project, described string) (Wheel, error) {
	version := Version(described)
	stem := strings.ReplaceAll(p.Name, "-", "_") + "-" + version
	python, err := fs.Sub(source, "python")
	if err != nil {
		return Wheel{}, err
	}
	files, err := p.files(python)
	if err != nil {
		return Wheel{}, fmt.Errorf("gathering %s: %w", p.Name, err)
	}
	license, err := fs.ReadFile(source, "LICENSE")
	if err != nil {
		return Wheel{}, fmt.Errorf("gathering %s: %w", p.Name, err)
	}
	info := stem + ".dist-info/"
	files = append(files,
		file{info + "METADATA", []byte(p.metadata(version))},
		file{info + "WHEEL", []byte("Wheel-Version: 1.0\nGenerator: leoflow\nRoot-Is-Purelib: true\nTag: py3-none-any\n")},
		file{info + "licenses/LICENSE", license})
	if p.EntryPoints != "" {
		files = append(files, file{info + "entry_points.txt", []byte(p.EntryPoints)})
	}
	content, err := pack(append(files, record(files, info+"RECORD")))
	return Wheel{stem + "-py3-none-any.whl", content}, err
}

// Write builds the wheels of all projects into a directory, and returns their paths.
func Write(source fs.FS, dir, described string) (paths []string, err error) {
	for _, project := range Projects {
		built, err := Build(source, project, described)
		if err != nil {
			return paths, err
		}
		paths = append(paths, filepath.Join(dir, built.Name))
		if err := os.WriteFile(paths[len(paths)-1], built.Content, 0o644); err != nil { //nolint:gosec // every user of an image reads them
			return paths, err
		}
	}
	return paths, nil
}

type file struct {
	name    string
	content []byte
}

// files are the packages' own, in the order of their names; what Python left behind is none.
func (p Project) files(source fs.FS) (files []file, err error) {
	for _, root := range p.Packages {
		err := fs.WalkDir(source, root, func(name string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case entry.IsDir() && entry.Name() == "__pycache__":
				return fs.SkipDir
			case entry.IsDir() || path.Ext(name) != ".py" && entry.Name() != "py.typed":
				return nil
			}
			content, err := fs.ReadFile(source, name)
			files = append(files, file{name, content})
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	if p.PathFile != "" {
		files = append(files, file{strings.ReplaceAll(p.Name, "-", "_") + ".pth", []byte(p.PathFile + "\n")})
	}
	return files, nil
}

func (p Project) metadata(version string) string {
	var text strings.Builder
	for _, line := range []string{
		"Metadata-Version: 2.4", "Name: " + p.Name, "Version: " + version, "Summary: " + p.Summary,
		"License-Expression: Apache-2.0", "License-File: LICENSE", "Requires-Python: >=3.9", "Classifier: Typing :: Typed",
	} {
		text.WriteString(line + "\n")
	}
	for _, requirement := range p.Requires {
		text.WriteString("Requires-Dist: " + requirement + "\n")
	}
	return text.String()
}

// record lists the files with their sums, and itself without.
func record(files []file, name string) file {
	var lines strings.Builder
	for _, f := range files {
		sum := sha256.Sum256(f.content)
		_, _ = fmt.Fprintf(&lines, "%s,sha256=%s,%d\n", f.name, base64.RawURLEncoding.EncodeToString(sum[:]), len(f.content))
	}
	return file{name, []byte(lines.String() + name + ",,\n")}
}

func pack(files []file) ([]byte, error) {
	slices.SortStableFunc(files, func(a, b file) int { return strings.Compare(a.name, b.name) })
	var out bytes.Buffer
	archive := zip.NewWriter(&out)
	for _, f := range files {
		header := &zip.FileHeader{Name: f.name, Method: zip.Store}
		header.SetMode(0o644)
		writer, err := archive.CreateHeader(header)
		if err != nil {
			return nil, err
		}
		if _, err := writer.Write(f.content); err != nil {
			return nil, err
		}
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
