package dev.graft.benchmarks.gpu;

import dev.graft.common.InputException;
import dev.graft.io.Json;

/** What {@code scripts/reference/gpu_lora.py} measured on the same GPU, taken over as it is; {@link Ratios} compares. */
final class PytorchSection implements Section {
    static final String NAME = "pytorch";

    @Override
    public String name() {
        return NAME;
    }

    @Override
    public Object run(Verification verification) {
        if (verification.pytorch() == null) {
            throw new InputException(
                    "--sections pytorch: needs --pytorch FILE, as scripts/reference/gpu_lora.py writes it");
        }
        return Json.readObject(verification.pytorch());
    }
}
