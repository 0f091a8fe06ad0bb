module example.test/toy

go 1.26.0
