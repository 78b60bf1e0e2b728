package dev.graft.cpu;

import dev.graft.cpu.parallel.WorkerPool;
import dev.graft.engine.Engine;
import dev.graft.engine.EngineConformance;
import org.junit.jupiter.api.Nested;

/** The contract of all engines, with pools that divide awkward sizes in different ways. */
class CpuEngineTest {
    @Nested
    class WithOneThread extends EngineConformance {
        @Override
        protected Engine openEngine() {
            return new CpuEngine(new WorkerPool(1));
        }
    }

    @Nested
    class WithTwoThreads extends EngineConformance {
        @Override
        protected Engine openEngine() {
            return new CpuEngine(new WorkerPool(2));
        }
    }

    @Nested
    class WithThreeThreads extends EngineConformance {
        @Override
        protected Engine openEngine() {
            return new CpuEngine(new WorkerPool(3));
        }
    }
}
