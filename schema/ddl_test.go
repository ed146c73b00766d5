package schema

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestDDL pins what the migrations run, for people to read and so that no change goes unseen.
func TestDDL(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]Options{
		"embedded or one server": {},
		"without fsync":          {NoFsync: true},
		"a cluster":              {Cluster: "fleet"},
		"a cluster of shards":    {Cluster: "fleet", Replicated: new(bool)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			layout, err := newLayout(options)
			if err != nil {
				t.Fatal(err)
			}
			statements := layout.ddl(schemaMigrationsTable)
			for _, step := range migrations {
				statements = append(statements, step.statements(layout)...)
			}
			got := strings.Join(statements, ";\n\n") + ";\n"
			golden := filepath.Join("testdata", strings.ReplaceAll(name, " ", "_")+".sql")
			if *update {
				if err := os.MkdirAll("testdata", 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("the DDL differs from %s; if that is meant, add a migration and run go test ./schema -run TestDDL -update", golden)
			}
		})
	}
}
