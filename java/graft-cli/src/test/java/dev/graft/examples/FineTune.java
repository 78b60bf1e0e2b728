package dev.graft.examples;

import dev.graft.data.*;
import dev.graft.engine.*;
import dev.graft.lora.*;
import dev.graft.model.*;
import dev.graft.train.*;
import java.nio.file.Path;

/** Fine-tunes a model: {@code FineTune MODEL DATA.jsonl OUT}. The README shows this file. */
public final class FineTune {
    public static void main(String[] args) {
        Path model = Path.of(args[0]), data = Path.of(args[1]), out = Path.of(args[2]);
        try (Engine engine = Engines.open(Engines.AUTO);
                Tokenizer tokenizer = Tokenizer.load(model);
                PretrainedModel base = PretrainedModel.load(model, engine, Precision.BF16)) {
            Dataset rows = DatasetReader.read(
                    data,
                    () -> tokenizer,
                    () -> ChatTemplate.load(model),
                    1024,
                    base.config().vocabSize());
            LoraModel adapted =
                    base.attach(LoraConfig.builder().rank(16).alpha(32).build(), 0);
            TrainConfig config =
                    TrainConfig.builder().epochs(1).learningRate(2e-4).build();
            try (Trainer trainer = new Trainer(adapted, rows.examples(), null, config)) {
                trainer.train(step -> System.out.println(step.step() + ": " + step.loss()));
            }
            adapted.save(out.resolve("adapter"));
            ModelMerger.merge(adapted, out.resolve("merged"));
        }
    }
}
