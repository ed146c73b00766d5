package schema

// The bounds of lists that are given in numbered pages.
const (
	MaxPage     = 1_000_000 // pages count from 1
	MaxPageSize = 1000      // items of a page
)

// CheckPage returns an Invalid about page or page_size for a page that no list has.
func CheckPage(page, size int) error {
	switch {
	case page < 1 || page > MaxPage:
		return Invalid.About("page", "This must be a whole number from 1 to %d.", MaxPage)
	case size < 1 || size > MaxPageSize:
		return Invalid.About("page_size", "This must be a whole number from 1 to %d.", MaxPageSize)
	}
	return nil
}
