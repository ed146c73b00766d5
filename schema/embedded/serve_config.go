package embedded

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// serverConfigName is the folder in the data directory in which Serve writes the server's configuration.
const serverConfigName = "server"

// writeServerConfig writes the configuration of the server and returns its path. ClickHouse merges the
// files of config.d over it, which is where the one of the options is copied to.
func writeServerConfig(dir string, options ServerOptions) (string, error) {
	folder := filepath.Join(dir, serverConfigName)
	if err := os.RemoveAll(folder); err != nil {
		return "", fmt.Errorf("removing the server's last configuration: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(folder, "config.d"), 0o700); err != nil {
		return "", fmt.Errorf("making the folder of the server's configuration: %w", err)
	}
	if options.Config != "" {
		content, err := os.ReadFile(options.Config)
		if err != nil {
			return "", fmt.Errorf("reading the server's configuration: %w", err)
		}
		if err := os.WriteFile(filepath.Join(folder, "config.d", "options.xml"), content, 0o600); err != nil {
			return "", fmt.Errorf("writing the server's configuration: %w", err)
		}
	}
	path := filepath.Join(folder, "config.xml")
	if err := os.WriteFile(path, serverConfig(dir, options), 0o600); err != nil {
		return "", fmt.Errorf("writing the server's configuration: %w", err)
	}
	return path, nil
}

// serverConfig is a config.xml.
func serverConfig(dir string, options ServerOptions) []byte {
	settings := append(engineSettings(options.MaxMemory),
		engineSetting{"path", dir + string(filepath.Separator)},
		engineSetting{"listen_host", options.Host})
	for _, listener := range []struct {
		name string
		port int
	}{{"http_port", options.HTTPPort}, {"tcp_port", options.TCPPort}} {
		if listener.port != 0 {
			settings = append(settings, engineSetting{listener.name, strconv.Itoa(listener.port)})
		}
	}
	var config bytes.Buffer
	config.WriteString("<clickhouse>\n")
	writeElements(&config, settings)
	if options.Backups != "" {
		config.WriteString("<backups>\n")
		writeElements(&config, []engineSetting{{"allowed_path", options.Backups}})
		config.WriteString("</backups>\n")
	}
	config.WriteString("<logger>\n")
	writeElements(&config, logSettings(dir))
	config.WriteString("<levels>\n")
	for _, part := range logLevels {
		config.WriteString("<logger>")
		writeElements(&config, []engineSetting{{"name", part.name}, {"level", part.value}})
		config.WriteString("</logger>\n")
	}
	config.WriteString("</levels>\n</logger>\n</clickhouse>\n")
	return config.Bytes()
}

func writeElements(config *bytes.Buffer, elements []engineSetting) {
	for _, e := range elements {
		fmt.Fprintf(config, "<%s>", e.name)
		_ = xml.EscapeText(config, []byte(e.value)) // a bytes.Buffer takes everything
		fmt.Fprintf(config, "</%s>\n", e.name)
	}
}
