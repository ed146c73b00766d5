package people

// ParseSpentFile reads the file in which earlier versions kept which tokens are spent.
var ParseSpentFile = parseSpentFile
