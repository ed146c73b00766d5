package embedded

import "path/filepath"

// LogName is the file in the engine's directory that holds what the engine has to say: its warnings and
// errors, with the statements that failed. When it has grown to 10 MB it is compressed to LogName.1.gz;
// three of these are kept.
const LogName = "engine.log"

// logSettings send the engine's log to its file. Left alone, the engine logs to standard error when that
// or standard input is a terminal, in the middle of what somebody reads there.
func logSettings(dir string) []engineSetting {
	return []engineSetting{{"console", "0"}, {"log", filepath.Join(dir, LogName)}, {"size", "10M"}, {"count", "3"}}
}

// logLevel is the argument that says what is logged.
const logLevel = "--log-level=warning"

// logArguments are logSettings as arguments of chdb_connect.
func logArguments(dir string) []string {
	args := []string{logLevel}
	for _, setting := range logSettings(dir) {
		args = append(args, "--logger."+setting.name+"="+setting.value)
	}
	for _, part := range logLevels {
		args = append(args, "--logger.levels."+part.name+"="+part.value)
	}
	return args
}

// logLevels are the levels of those parts of the engine that would push everything else out of the log.
var logLevels = []engineSetting{
	{"ThreadStatus", "none"}, // complains at every insert of something that is harmless, see insert
	// Both warn, several times a second, that their tasks have nothing to do.
	{"BackgroundSchedulePool/BgSchPool", "error"},
	{"BackgroundSchedulePool/BgStrmSchPool", "error"},
}

// logNotice is how the line begins that the engine writes to standard error when it opens its log.
const logNotice = "Logging warning to "
