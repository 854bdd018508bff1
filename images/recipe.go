package main

// recipe is what distinguishes one image from another. All of them are one static
// binary on nothing, at the root of the file system: a pod may mount the image as a
// volume and finds it there.
type recipe struct {
	name    string
	summary string
	// user runs the binary.
	user string
	// roots puts the CA certificates of public servers into the image.
	roots bool
	// python puts the wheel of leoflow_runtime beside the binary.
	python bool
	// budget bounds the uncompressed bytes; 0 is no bound.
	budget int64
}

const (
	root = "0:0"
	// nonroot is the number that distroless images use, which policies in the field know.
	nonroot = "65532:65532"
)

func recipes() []recipe {
	return []recipe{
		{
			name:    "driver",
			summary: "Node driver that delivers Airflow connections and variables to pods as files",
			user:    root, // it mounts
			roots:   true, // the clouds' secret managers, and cores with a public certificate
			budget:  65_000_000,
		},
		{
			name:    "agent",
			summary: "Hands the delivered connections and variables to a program as environment variables",
			user:    nonroot,
			python:  true,
			budget:  4_000_000,
		},
		{
			name:    "core",
			summary: "Reference core, which serves connections and variables from Airflow export files",
			user:    nonroot,
		},
	}
}

// binary is the path of the program in the image.
func (r recipe) binary() string { return "/" + r.name }
