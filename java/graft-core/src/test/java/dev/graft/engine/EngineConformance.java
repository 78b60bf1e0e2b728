package dev.graft.engine;

import org.junit.jupiter.api.Nested;

/**
 * What every engine must do: all of {@link Engine}'s contract against the float64 reference, over awkward sizes, pitched views
 * and both precisions. An engine module's test is one class:
 *
 * <pre>{@code
 * class CpuEngineTest extends EngineConformance {
 *     @Override
 *     protected Engine openEngine() {
 *         return new CpuEngine();
 *     }
 * }
 * }</pre>
 */
public abstract class EngineConformance {
    /** A fresh engine; called once for each family of operations, which closes it. */
    protected abstract Engine openEngine();

    @Nested
    class OfMemory extends MemoryConformance {
        @Override
        protected Engine openEngine() {
            return EngineConformance.this.openEngine();
        }
    }

    @Nested
    class OfFrozenWeights extends FreezeConformance {
        @Override
        protected Engine openEngine() {
            return EngineConformance.this.openEngine();
        }
    }

    @Nested
    class OfRows extends RowsConformance {
        @Override
        protected Engine openEngine() {
            return EngineConformance.this.openEngine();
        }
    }

    @Nested
    class OfLinear extends LinearConformance {
        @Override
        protected Engine openEngine() {
            return EngineConformance.this.openEngine();
        }
    }

    @Nested
    class OfBorders extends BorderConformance {
        @Override
        protected Engine openEngine() {
            return EngineConformance.this.openEngine();
        }
    }

    @Nested
    class OfLora extends LoraConformance {
        @Override
        protected Engine openEngine() {
            return EngineConformance.this.openEngine();
        }
    }

    @Nested
    class OfRescaling extends RescaleConformance {
        @Override
        protected Engine openEngine() {
            return EngineConformance.this.openEngine();
        }
    }

    @Nested
    class OfRmsNorm extends RmsNormConformance {
        @Override
        protected Engine openEngine() {
            return EngineConformance.this.openEngine();
        }
    }

    @Nested
    class OfRope extends RopeConformance {
        @Override
        protected Engine openEngine() {
            return EngineConformance.this.openEngine();
        }
    }

    @Nested
    class OfAttention extends AttentionConformance {
        @Override
        protected Engine openEngine() {
            return EngineConformance.this.openEngine();
        }
    }

    @Nested
    class OfGelu extends GeluConformance {
        @Override
        protected Engine openEngine() {
            return EngineConformance.this.openEngine();
        }
    }

    @Nested
    class OfAdd extends AddConformance {
        @Override
        protected Engine openEngine() {
            return EngineConformance.this.openEngine();
        }
    }

    @Nested
    class OfSwiglu extends SwigluConformance {
        @Override
        protected Engine openEngine() {
            return EngineConformance.this.openEngine();
        }
    }

    @Nested
    class OfCrossEntropy extends CrossEntropyConformance {
        @Override
        protected Engine openEngine() {
            return EngineConformance.this.openEngine();
        }
    }

    @Nested
    class OfOptimizer extends OptimizerConformance {
        @Override
        protected Engine openEngine() {
            return EngineConformance.this.openEngine();
        }
    }
}
