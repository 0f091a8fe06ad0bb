package shapes

type marks [4]bool

// Marks sets elements by constants: in a call, in assignments and in a return. A result has the name of its type.
func Marks() (marks marks, last int) {
	mark(&marks, 1, true)
	marks[2] = true
	marks[0x3] = false
	return marks, 3
}

func mark(marks *marks, at int, value bool) { marks[at] = value }
