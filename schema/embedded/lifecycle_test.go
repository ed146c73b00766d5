package embedded_test

// helperVariable names what this test binary does instead of testing.
const helperVariable = "LASTSEEN_EMBEDDED_HELPER"

func runHelper() int { return 0 }
