// Package shapes has a function for each kind of change.
package shapes

// Limit is a typed constant.
const Limit int32 = 5

// Square has a side.
type Square struct{ Side int32 }

// Area multiplies; its name is also that of a function for Linux alone.
func (s *Square) Area() int32 {
	return s.Side * s.Side
}

// Grown calls a function with two arguments.
func (s *Square) Grown(by, times int32) int32 {
	return grow(s.Side, by, times)
}

func grow(side, by, times int32) int32 { return side*times + by }

// Kind has two conditions with the same name.
func Kind(side int32) string {
	if side > Limit {
		return "large"
	}
	if side < 0 {
		return "none"
	}
	return "small"
}

// Notes makes calls whose results are set and not made.
func Notes() []string {
	var notes []string
	notes = add(notes, "first") // a comment at the end of a line
	notes = append(notes, "second")
	return notes
}

func add(notes []string, note string) []string { return append(notes, note) }

// Checked returns several values, and has a parameter with the name of a builtin function.
func Checked(new int) (int, error) {
	if new > 6 {
		return 6, nil
	}
	return new, nil
}
