package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/pelletier/go-toml/v2"
)

// configFile is a file of flags: TOML, a line each, with the flag's name and its value. What is on the command line and what
// is in the environment go before it.
type configFile struct {
	values map[string]string
}

// loadConfigFile implements kong.ConfigurationLoader.
func loadConfigFile(r io.Reader) (kong.Resolver, error) {
	var content map[string]any
	if err := toml.NewDecoder(r).Decode(&content); err != nil {
		if where, is := errors.AsType[*toml.DecodeError](err); is {
			line, _ := where.Position()
			return nil, fmt.Errorf("line %d of the configuration file is no TOML: write one flag a line, such as addr = \"127.0.0.1:8080\"", line)
		}
		return nil, fmt.Errorf("read the configuration file: %w", err)
	}
	file := &configFile{values: make(map[string]string, len(content))}
	for name, value := range content {
		text, err := flagText(value)
		if err != nil {
			return nil, fmt.Errorf("%s in the configuration file: %w", name, err)
		}
		file.values[name] = text
	}
	return file, nil
}

// flagText writes a value as it would be on the command line.
func flagText(value any) (string, error) {
	switch v := value.(type) {
	case string, bool, int64, float64:
		return fmt.Sprint(v), nil
	case []any:
		items := make([]string, len(v))
		for i, item := range v {
			text, err := flagText(item)
			if err != nil {
				return "", err
			}
			items[i] = text
		}
		return strings.Join(items, ","), nil
	}
	return "", errors.New("give text in quotes, a number, true or false, or a list of these; flags stand below no [heading]")
}

// Validate implements kong.Resolver. It refuses names that are no flag's.
func (c *configFile) Validate(app *kong.Application) error {
	known := map[string]bool{}
	err := kong.Visit(app, func(node kong.Visitable, next kong.Next) error {
		if flag, is := node.(*kong.Flag); is && inConfigFile(flag) {
			known[flag.Name] = true
		}
		return next(nil)
	})
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(c.values)) {
		if !known[name] {
			return fmt.Errorf("the configuration file has %q, which is no flag; lastseen serve --help lists them, and a name is written without the dashes before it", name)
		}
	}
	return nil
}

// inConfigFile reports whether a flag may be in the file.
func inConfigFile(flag *kong.Flag) bool { return len(flag.Envs) > 0 && flag.Name != "config" }

// Resolve implements kong.Resolver.
func (c *configFile) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	text, has := c.values[flag.Name]
	if !has || !inConfigFile(flag) || inEnvironment(flag) != "" {
		return nil, nil // as an absent value is said to kong
	}
	return text, nil
}

// inEnvironment returns the variable that sets a flag, or nothing.
func inEnvironment(flag *kong.Flag) string {
	for _, name := range flag.Envs {
		if _, set := os.LookupEnv(name); set {
			return name
		}
	}
	return ""
}
