package clickhousetest

import (
	"fmt"
	"os"
	"path/filepath"
)

// writeConfig writes what the options add to the server's configuration.
func (s *Server) writeConfig(path string) error {
	config := usualRights + s.options.Config
	if s.options.Users != "" {
		users := filepath.Join(s.dir, "users.xml")
		if err := writeXML(users, defaultUser); err != nil {
			return err
		}
		// ClickHouse merges this one over the other.
		if err := os.MkdirAll(filepath.Join(s.dir, "users.d"), 0o700); err != nil {
			return fmt.Errorf("make the folder of the server's users: %w", err)
		}
		if err := writeXML(filepath.Join(s.dir, "users.d", "options.xml"), s.options.Users); err != nil {
			return err
		}
		config += "<users_config>" + users + "</users_config>"
	}
	return writeXML(path, config)
}

// usualRights is what the config.xml of ClickHouse's packages says of rights and the engine by itself does not.
const usualRights = "<access_control_improvements><table_engines_require_grant>true</table_engines_require_grant></access_control_improvements>"

// defaultUser is the user as which the process itself runs its statements.
const defaultUser = `<profiles><default/></profiles><quotas><default/></quotas>
<users><default><password></password><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota></default></users>`

func writeXML(path, elements string) error {
	if err := os.WriteFile(path, []byte("<clickhouse>\n"+elements+"\n</clickhouse>\n"), 0o600); err != nil {
		return fmt.Errorf("write the server's configuration: %w", err)
	}
	return nil
}
