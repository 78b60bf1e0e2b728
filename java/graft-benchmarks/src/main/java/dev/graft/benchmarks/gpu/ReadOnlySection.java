package dev.graft.benchmarks.gpu;

import dev.graft.cuda.driver.ReadOnlyMapping;
import dev.graft.cuda.natives.CudaLibraries;

/** Whether the driver would keep frozen weights from being written by the device itself. In a process of its own: a write that fails ends it. */
final class ReadOnlySection implements Section {
    @Override
    public String name() {
        return "read_only";
    }

    @Override
    public ReadOnlyMapping.Outcome run(Verification verification) {
        return ReadOnlyMapping.probe(CudaLibraries.load(verification.target().platform()), 0);
    }
}
