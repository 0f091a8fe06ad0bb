module kubechain.test/mutants

go 1.26.0
