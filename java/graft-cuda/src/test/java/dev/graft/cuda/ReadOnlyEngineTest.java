package dev.graft.cuda;

import dev.graft.cuda.natives.EmulatorControl;
import dev.graft.engine.Engine;
import dev.graft.engine.EngineConformance;

/** The contract of all engines where each frozen weight is read-only to the device as soon as it is loaded. */
class ReadOnlyEngineTest extends EngineConformance {
    @Override
    protected Engine openEngine() {
        EmulatorControl control = Emulation.control();
        Engine engine = Emulation.readOnly(0, 0);
        return WatchedEngine.over(FreezeListener.over(engine, weight -> engine.protectFrozen()), control);
    }
}
