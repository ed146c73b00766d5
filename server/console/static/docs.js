// The page of the API: folding its navigation, searching, trying.
