package people

// ParseSpent and AppendSpent read and write the file of spent tokens.
var (
	ParseSpent  = parseSpent
	AppendSpent = appendSpent
)
