package main

import "runtime/debug"

// release and commit are what `make release` has built, from the tag and the history: the version without a v, such as 0.1.0,
// and the commit's hash. They are empty in other builds.
var release, commit string

// version tells the release and the commit, as far as the build knows them.
func version() string {
	if release != "" {
		return release + " (" + commit + ")"
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	text := info.Main.Version
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" && text == "(devel)" { // other versions name the commit
			text += " " + setting.Value
		}
	}
	return text
}
