package dev.graft.cuda;

import dev.graft.engine.Engine;
import dev.graft.engine.Precision;
import dev.graft.model.ModelContract;
import org.junit.jupiter.api.Nested;

/** Adapters on whole models, in both ways of multiplying low-rank factors. */
class CudaModelTest {
    @Nested
    class Bordered extends ModelContract {
        @Override
        protected Engine openEngine() {
            return Emulation.open();
        }

        @Override
        protected double zeroFactorTolerance(Precision precision) {
            return Emulation.zeroFactorTolerance(precision);
        }
    }

    @Nested
    class Plain extends ModelContract {
        @Override
        protected Engine openEngine() {
            return Emulation.open(0);
        }
    }
}
