package dev.graft.cuda;

import dev.graft.cuda.natives.CudaPlatform;
import dev.graft.cuda.natives.EmulatorControl;
import dev.graft.engine.AttentionConformance;
import dev.graft.engine.Engine;

/** The contract of attention, on the tensor core instructions that Hopper alone has. */
class HopperAttentionTest extends AttentionConformance {
    @Override
    protected Engine openEngine() {
        if (Emulation.PLATFORM == CudaPlatform.GPU) {
            return Emulation.openHopper();
        }
        EmulatorControl control = Emulation.control();
        control.becomeHopper();
        return WatchedEngine.over(Emulation.openHopper(), control);
    }
}
