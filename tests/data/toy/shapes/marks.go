package shapes

// Marks sets elements by constants: in a call, in an assignment and in a return.
func Marks() ([4]bool, int) {
	var marks [4]bool
	mark(&marks, 1, true)
	marks[2] = true
	return marks, 3
}

func mark(marks *[4]bool, at int, value bool) { marks[at] = value }
