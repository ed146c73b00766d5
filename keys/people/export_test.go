package people

// ParseSpentFile reads the file in which earlier versions kept which tokens are spent.
var ParseSpentFile = parseSpentFile

// LimitSpent bounds the tokens that are remembered to be spent.
func (s *SignIn) LimitSpent(most int) { s.spent.most = most }
