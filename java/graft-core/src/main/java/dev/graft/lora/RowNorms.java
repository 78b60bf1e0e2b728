package dev.graft.lora;

import dev.graft.engine.Allocator;
import dev.graft.engine.Engine;
import dev.graft.engine.MemoryKind;
import dev.graft.nn.FlatParameters;
import dev.graft.tensor.DType;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorView;
import java.util.Collection;
import java.util.HashMap;
import java.util.Map;

/**
 * {@code ‖W0 + s B A‖} of the rows of DoRA's layers, kept until the next change of A and B: they are computed once a step, and once
 * for a whole generation.
 */
final class RowNorms {
    private final Map<String, Tensor> norms = new HashMap<>();
    private final Map<String, Integer> versions = new HashMap<>();

    RowNorms(Collection<LoraModule> modules, Allocator allocator) {
        for (LoraModule module : modules) {
            norms.put(
                    module.name(),
                    allocator.tensor(
                            MemoryKind.WORKSPACE,
                            module.name() + " row norms",
                            DType.F32,
                            1,
                            module.module().out()));
        }
    }

    /** F32 [1, d], of A and B as they were at the last {@link FlatParameters#refresh}. */
    TensorView of(Engine engine, FlatParameters parameters, LoraModule module, TensorView weight) {
        Tensor result = norms.get(module.name());
        if (result == null) {
            throw new IllegalStateException("no row norms were set up at " + module.name());
        }
        Integer version = versions.put(module.name(), parameters.version());
        if (version == null || version != parameters.version()) {
            engine.rowNorms(weight, parameters.value(module.a()), parameters.value(module.b()), module.scale(), result);
        }
        return result.asReadOnly();
    }
}
