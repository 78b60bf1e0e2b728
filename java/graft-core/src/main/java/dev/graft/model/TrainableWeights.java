package dev.graft.model;

import dev.graft.common.RandomFill;
import dev.graft.common.RandomPurpose;
import dev.graft.engine.Allocator;
import dev.graft.engine.Engine;
import dev.graft.engine.Precision;
import dev.graft.nn.FlatParameters;
import dev.graft.nn.Weight;
import dev.graft.tensor.Tensor;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;

/** All weights of a decoder as trainable parameters in one flat buffer. */
final class TrainableWeights implements WeightSource {
    private final FlatParameters parameters;
    private final Map<String, FlatParameters.Slot> slots = new LinkedHashMap<>();
    private final DecoderConfig config;

    TrainableWeights(DecoderConfig config, Allocator allocator, Precision precision) {
        this.config = config;
        FlatParameters.Layout layout = new FlatParameters.Layout();
        for (WeightShape shape : WeightShape.of(config)) {
            slots.put(shape.name(), layout.add(shape.name(), shape.rows(), shape.cols()));
        }
        this.parameters = new FlatParameters(layout, allocator, precision, true);
    }

    FlatParameters parameters() {
        return parameters;
    }

    @Override
    public Weight weight(String name) {
        FlatParameters.Slot slot = slot(name);
        return new Weight(name, parameters.compute(slot), parameters.gradient(slot));
    }

    /** A weight's float32 values. */
    Tensor value(String name) {
        return parameters.value(slot(name));
    }

    private FlatParameters.Slot slot(String name) {
        FlatParameters.Slot slot = slots.get(name);
        if (slot == null) {
            throw new IllegalArgumentException("no weight " + name);
        }
        return slot;
    }

    /**
     * Random weights: N(0, std²), with std / √(2 · layers) for what is added to the residual stream (Radford et al., 2019);
     * norms one, biases zero.
     */
    void initialise(Engine engine, long seed, float std) {
        int stream = 0;
        for (WeightShape shape : WeightShape.of(config)) {
            FlatParameters.Slot slot = slots.get(shape.name());
            engine.upload(initial(shape, seed, stream++, std), parameters.value(slot));
        }
        parameters.refresh(engine);
    }

    private float[] initial(WeightShape shape, long seed, int stream, float std) {
        int count = Math.toIntExact(shape.size());
        float[] values = new float[count];
        if (shape.kind() == WeightShape.Kind.NORM) {
            Arrays.fill(values, 1);
            return values;
        }
        if (shape.isVector()) {
            return values;
        }
        boolean addsToResidual =
                shape.name().endsWith("o_proj.weight") || shape.name().endsWith("down_proj.weight");
        float scaled = addsToResidual ? (float) (std / Math.sqrt(2.0 * config.layers())) : std;
        return RandomFill.normal(seed, RandomPurpose.INITIALISE_WEIGHTS, stream, count, scaled);
    }
}
