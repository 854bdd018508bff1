package entry

import (
	"regexp"
)

// Reference points at a secret in a cloud's secret manager.
type Reference struct {
	// Cloud is "gcp", "aws" or "azure".
	Cloud string
	// Name is the secret's name, or its ARN.
	Name string
	// Location is the project (GCP), region (AWS) or vault URL (Azure).
	Location string
	// Region is that of a regional secret of GCP; empty for all others.
	Region string
	// Version is empty for the latest.
	Version string
	// Role is the ARN of the AWS role to fetch it under, where the connection names
	// one; otherwise the service account's annotation decides.
	Role string
	// Field is the connection's field that the reference stands in, for messages.
	Field string
}

// Part is a part of a reference.
type Part string

// The parts that have a form.
const (
	NamePart     Part = "name"
	LocationPart Part = "location"
	RegionPart   Part = "region"
	VersionPart  Part = "version"
	RolePart     Part = "role"
)

// form is what a part has to look like, and what to say of one that does not.
type form struct {
	shape
	reason string
	// optional parts may be empty.
	optional bool
}

// shape is a pattern and the most bytes of what has it. A pattern that counts to hundreds by
// itself takes as many steps to compile, and half a megabyte for as long as the driver runs.
type shape struct {
	pattern *regexp.Regexp
	most    int
}

func shapeOf(most int, pattern string) shape { return shape{regexp.MustCompile(pattern), most} }

func (s shape) fits(text string) bool { return len(text) <= s.most && s.pattern.MatchString(text) }

var (
	gcpID     = shapeOf(255, `^[A-Za-z0-9_-]+$`)
	awsRegion = shapeOf(40, `^[a-z]{2,4}(-[a-z]{2,12}){1,2}-[0-9]{1,2}$`)
	// IAM takes 576 bytes of path and name, and what precedes them is no longer than 64.
	awsRole = shapeOf(576+64, `^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9/_+=,.@-]+$`)
)

// forms are those of each cloud's references. Parts of them become hosts and paths that a
// pod's token is sent to: no client is asked with a reference of another form.
var forms = map[string]map[Part]form{
	"gcp": {
		NamePart:     {gcpID, "is neither a secret's name nor projects/PROJECT/secrets/NAME (regional: projects/PROJECT/locations/REGION/secrets/NAME); correct it", false},
		LocationPart: {shapeOf(100, `^[a-z0-9][a-z0-9.:-]*$`), "names no project; correct it", false},
		RegionPart:   {shapeOf(40, `^[a-z]{2,16}-[a-z]{4,16}[0-9]{1,2}$`), "names no region; correct it", true},
		VersionPart:  {gcpID, "is neither a version's number nor its alias; correct it", true},
	},
	"aws": {
		NamePart:     {shapeOf(700, `^[A-Za-z0-9/_+=.@!:-]+$`), "is neither the name nor the ARN of a secret; correct it", false},
		LocationPart: {awsRegion, "names no region; write one such as eu-west-1", true}, // a node has a region of its own
		VersionPart:  {shapeOf(256, `^[A-Za-z0-9/_+=.@-]+$`), "is neither a version's id nor a stage; correct it", true},
		RolePart:     {awsRole, "is not the ARN of a role; it reads arn:aws:iam::ACCOUNT:role/NAME", true},
	},
	"azure": {
		NamePart: {shapeOf(127, `^[0-9A-Za-z-]+$`), "is no secret's name; give the name alone, without the vault and the version", false},
		LocationPart: {shapeOf(len("https://.vault.usgovcloudapi.net/")+127, `^https://[0-9A-Za-z-]+\.vault\.(azure\.net|azure\.cn|usgovcloudapi\.net)/?$`),
			"is no vault's URL; it reads https://NAME.vault.azure.net", false},
		VersionPart: {shapeOf(64, `^[0-9A-Za-z]+$`), "is no version; correct it", true},
	},
}

// Fault is the first part that is not of its cloud's form, and what is wrong with it; empty
// if there is none.
func (r Reference) Fault() (part Part, reason string) {
	values := []struct {
		part  Part
		value string
	}{{NamePart, r.Name}, {LocationPart, r.Location}, {RegionPart, r.Region}, {VersionPart, r.Version}, {RolePart, r.Role}}
	for _, one := range values {
		want, has := forms[r.Cloud][one.part]
		mayBeEmpty := want.optional && one.value == ""
		if has && !mayBeEmpty && !want.fits(one.value) {
			return one.part, want.reason
		}
	}
	return "", ""
}

// IsAWSRegion tells whether a name has the form that regions have in all of AWS's
// partitions, as eu-west-1, us-gov-east-1, eusc-de-east-1. It becomes part of the host that
// the pod's token is sent to: with "s3" that would be a bucket's.
func IsAWSRegion(name string) bool { return awsRegion.fits(name) }

// IsAWSRole tells whether a text is the ARN of a role.
func IsAWSRole(arn string) bool { return awsRole.fits(arn) }
