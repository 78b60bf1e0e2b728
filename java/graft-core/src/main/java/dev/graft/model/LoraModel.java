package dev.graft.model;

import dev.graft.engine.Engine;
import dev.graft.engine.Precision;
import dev.graft.lora.AdapterRange;
import dev.graft.lora.LoraAdapter;
import dev.graft.lora.LoraConfig;
import dev.graft.lora.LoraPass;
import dev.graft.lora.PeftAdapter;
import dev.graft.nn.FlatParameters;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * A frozen model with one adapter attached. Where the adapter trains modules whole, the decoder has the adapter's weights in place
 * of the base's.
 */
public final class LoraModel implements Trainable {
    private final PretrainedModel base;
    private final LoraAdapter adapter;
    private final Decoder decoder;
    /** New frozen weights of the adapted layers, where the adapter took over a part of the base's. */
    private final @Nullable FrozenWeights residual;
    /** Of {@link #residual} as it was made: every checkpoint has it, and reading all of these weights takes a while. */
    private final String residualFingerprint;

    /** @param residual the adapted layers' weights without what the adapter took over; null where it took nothing */
    LoraModel(PretrainedModel base, LoraAdapter adapter, @Nullable FrozenWeights residual) {
        this.base = base;
        this.adapter = adapter;
        this.residual = residual;
        this.residualFingerprint =
                residual == null ? "none" : HexFormat.of().toHexDigits(residual.residentFingerprint());
        this.decoder = residual == null && adapter.savedWeights().isEmpty()
                ? base.decoder()
                : new Decoder(base.config(), new AdaptedWeights(base.weights(), residual, adapter));
    }

    public PretrainedModel base() {
        return base;
    }

    public LoraAdapter adapter() {
        return adapter;
    }

    @Override
    public Engine engine() {
        return base.engine();
    }

    @Override
    public Precision precision() {
        return base.precision();
    }

    @Override
    public Decoder decoder() {
        return decoder;
    }

    /** Whether the adapter took over a part of the base, so that its layers have frozen weights of their own. */
    public boolean changesBase() {
        return residual != null;
    }

    /** The fingerprint of all frozen weights that the base and this adapter have in the engine's memory now. */
    public long residentFingerprint() {
        return base.residentFingerprint() + (residual == null ? 0 : residual.residentFingerprint());
    }

    @Override
    public FlatParameters parameters() {
        return adapter.parameters();
    }

    @Override
    public List<LoraAdapter> adapters() {
        return List.of(adapter);
    }

    @Override
    public LoraPass pass(DecoderBuffers buffers, int rows, boolean training, long seed, int microStep) {
        return new LoraPass(List.of(new AdapterRange(adapter, 0, rows)), buffers.lora(), training, seed, microStep);
    }

    @Override
    public SortedMap<String, String> identity() {
        LoraConfig config = adapter.config();
        SortedMap<String, String> identity = new TreeMap<>();
        identity.put("method", "lora");
        identity.put("base model's fingerprint", HexFormat.of().toHexDigits(base.fingerprint()));
        identity.put("precision", precision().toString());
        identity.put("rank", String.valueOf(config.rank()));
        identity.put("alpha", String.valueOf(config.alpha()));
        identity.put("dropout", String.valueOf(config.dropout()));
        identity.put("targets", config.targets().toString());
        identity.put("exclude", String.valueOf(config.exclude()));
        identity.put("rank_pattern", config.rankPattern().toString());
        identity.put("alpha_pattern", config.alphaPattern().toString());
        identity.put("rslora", String.valueOf(config.rsLora()));
        identity.put("modules_to_save", config.modulesToSave().names().toString());
        identity.put(
                "ensure_weight_tying", String.valueOf(config.modulesToSave().keepTies()));
        identity.put("dora", String.valueOf(config.useDora()));
        identity.put("init", config.init().toString());
        identity.put("fingerprint of the changed base", residualFingerprint);
        return identity;
    }

    /**
     * Writes {@code adapter_config.json} and {@code adapter_model.safetensors} as PEFT does. What took over a part of the base is
     * written as plain LoRA of twice the rank, for the base as it is.
     */
    @Override
    public void save(Path folder) {
        PeftAdapter.write(folder, adapter, engine(), base.folder().toString(), base.fingerprint());
    }
}
