package embedded

import "path/filepath"

// LogName is the file in the engine's directory that holds what the engine has to say: its warnings and
// errors, with the statements that failed. When it has grown to 10 MB it is compressed to LogName.1.gz;
// three of these are kept.
const LogName = "engine.log"

// logArguments send the engine's log to its file. Left alone, the engine logs to standard error when that
// or standard input is a terminal, in the middle of what somebody reads there.
func logArguments(dir string) []string {
	return []string{
		"--logger.console=0",
		"--logger.log=" + filepath.Join(dir, LogName),
		"--logger.size=10M",
		"--logger.count=3",
		"--log-level=warning",
		// Every insert makes the engine complain of something that is harmless, see insert.
		"--logger.levels.ThreadStatus=none",
	}
}

// logNotice is how the line begins that the engine writes to standard error when it opens its log.
const logNotice = "Logging warning to "
