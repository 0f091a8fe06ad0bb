// Program toy prints what its functions return, for tests of the insertion of guards; with "again" once more after each line of
// its input.
package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"

	"example.test/toy/shapes"
)

func main() {
	write()
	if len(os.Args) > 1 && os.Args[1] == "again" {
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			write()
		}
	}
}

func write() {
	square := &shapes.Square{Side: 3}
	fmt.Println("area", square.Area())
	fmt.Println("grown", square.Grown(2, 5))
	fmt.Println("kind", shapes.Kind(square.Side))
	fmt.Println("notes", strings.Join(shapes.Notes(), ","))
	value, err := shapes.Checked(7)
	fmt.Println("checked", value, err)
	marks, last := shapes.Marks()
	fmt.Println("marks", marks, last)
}
