package metrics

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"testing"
)

var alertExpression = regexp.MustCompile(`(?s)expr: (.*?)\n        (?:for|labels):`)

func TestTheAlertsNameOnlyMetricsAndLabelsThatExist(t *testing.T) {
	t.Parallel()
	known := families(t, NewRegistry(sourcesOfNodes()))
	text, err := os.ReadFile("../../docs/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	expressions := alertExpression.FindAllStringSubmatch(string(text), -1)
	if len(expressions) < 10 {
		t.Fatalf("found only %d alerts", len(expressions))
	}
	for _, match := range expressions {
		labels := append(slices.Clone(everywhere), "job") // Prometheus adds it too
		for _, name := range metricName.FindAllString(match[1], -1) {
			if _, exists := known[name]; !exists {
				t.Errorf("an alert names %s, which does not exist", name)
			}
			labels = append(labels, known[name]...)
		}
		for _, label := range labelsOf(match[1]) {
			if !slices.Contains(labels, label) {
				t.Errorf("nothing has the label %s in %s", label, match[1])
			}
		}
	}
}

// TestAlertsGoOffWhenTheyShould has Prometheus' own tool try the rules.
func TestAlertsGoOffWhenTheyShould(t *testing.T) {
	t.Parallel()
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("LASTSEEN_REQUIRE_PROMTOOL") != "" {
			t.Fatal(err)
		}
		t.Skip("there is no promtool (Debian's package prometheus has it)")
	}
	for _, args := range [][]string{{"check", "rules", "../../docs/alerts.yml"}, {"test", "rules", "testdata/alerts_test.yml"}} {
		if output, err := exec.Command(promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %v: %v\n%s", args, err, output)
		}
	}
}
