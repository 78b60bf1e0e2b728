package dev.graft.testing;

import dev.graft.engine.Engine;
import dev.graft.lora.LinearModule;
import dev.graft.lora.LoraAdapter;
import dev.graft.lora.LoraDelta;
import dev.graft.lora.LoraModule;
import dev.graft.lora.LowRankFactors;
import dev.graft.lora.PeftAdapter;
import dev.graft.lora.TargetMatcher;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** What adapters add to the base's weights, by module: the same whatever signs or order their directions have. */
public final class Deltas {
    private Deltas() {}

    /** {@code s B A} of a saved adapter. */
    public static Map<String, float[]> of(PeftAdapter adapter, List<LinearModule> modules) {
        Map<String, float[]> deltas = new TreeMap<>();
        for (TargetMatcher.Match match : adapter.matches(modules)) {
            String name = match.module().name();
            LowRankFactors factors = new LowRankFactors(
                    match.rank(),
                    adapter.weights().get(name + ".lora_A.weight"),
                    adapter.weights().get(name + ".lora_B.weight"));
            deltas.put(name, delta(match.module(), factors, adapter.config().scale(match.rank(), match.alpha())));
        }
        return deltas;
    }

    /** What this adapter's training has added so far. */
    public static Map<String, float[]> of(LoraAdapter adapter, Engine engine) {
        Map<String, float[]> deltas = new TreeMap<>();
        for (LoraModule module : adapter.modules()) {
            deltas.put(module.name(), delta(module.module(), adapter.saved(engine, module), module.scale()));
        }
        return deltas;
    }

    private static float[] delta(LinearModule layer, LowRankFactors factors, float scale) {
        float[] delta = new float[layer.out() * layer.in()];
        for (int i = 0; i < layer.out(); i++) {
            float[] row = new float[layer.in()];
            LoraDelta.addRow(row, i, factors.a(), factors.b(), scale);
            System.arraycopy(row, 0, delta, i * row.length, row.length);
        }
        return delta;
    }
}
