package doctor

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/leoflow/secrets-csi/internal/cli"
)

// Print prints the findings. Its error says that one failed.
func Print(out io.Writer, asJSON bool, findings []Finding) error {
	if err := printTo(out, asJSON, findings); err != nil {
		return fmt.Errorf("printing: %w", err)
	}
	if worst(findings) == Failed {
		return &cli.ExitError{Code: cli.Failure}
	}
	return nil
}

func printTo(out io.Writer, asJSON bool, findings []Finding) error {
	if asJSON {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(map[string]any{"state": worst(findings), "findings": findings})
	}
	for _, finding := range findings {
		if _, err := fmt.Fprintf(out, "%-8s %s: %s\n", finding.State, finding.Check, finding.Detail); err != nil {
			return err
		}
		if finding.Remedy == "" {
			continue
		}
		if _, err := fmt.Fprintf(out, "         → %s\n", finding.Remedy); err != nil {
			return err
		}
	}
	return nil
}
