package store

import (
	"regexp"

	"github.com/leoflow/secrets-csi/internal/source/secretmanager"
)

// TeamAnnotation names the team, in Airflow's sense, that a service account's pods are of.
const TeamAnnotation = "secrets.csi.leoflow.io/team"

// teamSeparator stands between a team and an id, as in Airflow's classes.
const teamSeparator = "--"

// Team is for whose pod an entry is asked.
type Team struct {
	// Apart is set where teams are kept apart, as by Airflow's [core] multi_team.
	Apart bool
	// Name is empty for a pod of no team.
	Name string
}

// apart is a store whose pods' teams are known by the annotation.
type apart struct{ Store }

// IsPrompt implements secretmanager.Prompt.
func (a apart) IsPrompt() bool { return secretmanager.IsPrompt(a.Store) }

// Annotations implements Store.
func (a apart) Annotations() []string { return append(a.Store.Annotations(), TeamAnnotation) }

// teamName is what Airflow takes for one.
var teamName = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// teamOf is the team that the service account of a pod names.
func (p *Provider) teamOf(subject secretmanager.Subject) (Team, error) {
	if !p.apart {
		return Team{}, nil
	}
	isTeam := func(name string) bool { return len(name) >= 3 && len(name) <= 50 && teamName.MatchString(name) }
	name, _, err := subject.Annotated(TeamAnnotation, isTeam, "no team's name")
	return Team{Apart: true, Name: name}, err
}
