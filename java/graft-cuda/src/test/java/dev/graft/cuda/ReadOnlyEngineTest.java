package dev.graft.cuda;

import dev.graft.cuda.natives.EmulatorControl;
import dev.graft.engine.Engine;
import dev.graft.engine.FreezeConformance;
import dev.graft.engine.LinearConformance;
import dev.graft.engine.LoraConformance;
import org.junit.jupiter.api.Nested;

/** The contract of what reads frozen weights, where each is read-only to the device as soon as it is loaded. */
class ReadOnlyEngineTest {
    private static Engine open() {
        EmulatorControl control = Emulation.control();
        Engine engine = Emulation.readOnly(0, 0);
        return WatchedEngine.over(FreezeListener.over(engine, weight -> engine.protectFrozen()), control);
    }

    @Nested
    class OfFrozenWeights extends FreezeConformance {
        @Override
        protected Engine openEngine() {
            return open();
        }
    }

    @Nested
    class OfLinear extends LinearConformance {
        @Override
        protected Engine openEngine() {
            return open();
        }
    }

    @Nested
    class OfLora extends LoraConformance {
        @Override
        protected Engine openEngine() {
            return open();
        }
    }
}
