"""A found loss in use: a plain loop with half precision, Lightning, and the trainer of Hugging Face.

pip install ./crates/autoloss-python torch scikit-learn lightning transformers accelerate
python crates/autoloss-python/examples/take_home.py --loss @runs/digits
"""

import argparse
import contextlib
import importlib.util
import tempfile

import torch
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, Dataset, TensorDataset

import autoloss as al

#: The loss that examples/digits.py found; `--loss @DIR` takes that of a run.
FOUND = "-tanh(sqrt(mean_nhw(yhat * y))) + sqrt(yhat) * yhat"


def digits():
    """Training and test set of (pixels from 0 to 1, digits)."""
    x, y = load_digits(return_X_y=True)
    x, y = torch.tensor(x / 16, dtype=torch.float32), torch.tensor(y)
    return TensorDataset(x[:1400], y[:1400]), TensorDataset(x[1400:], y[1400:])


TRAIN, TEST = digits()


def network():
    return torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))


@torch.no_grad()
def accuracy(net):
    x, y = TEST.tensors
    return (net(x).argmax(1) == y).float().mean().item()


def plain_loop(loss):
    """A loop of one's own under autocast: the loss computes in single precision, whatever it is given."""
    net, criterion = network(), loss.torch()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    net.to(device)
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    scaler = torch.amp.GradScaler(device, enabled=device == "cuda")
    for _ in range(10):
        for x, y in DataLoader(TRAIN, 64, shuffle=True):
            with torch.autocast(device, dtype=torch.float16 if device == "cuda" else torch.bfloat16):
                value = criterion(net(x.to(device)), y.to(device))
            optimizer.zero_grad()
            scaler.scale(value).backward()
            scaler.step(optimizer)
            scaler.update()
    return accuracy(net.cpu())


def with_lightning(loss):
    """A module of Lightning, whose criterion is a module like any other."""
    import lightning

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.net, self.criterion = network(), loss.torch()

        def training_step(self, batch, _):
            x, y = batch
            return self.criterion(self.net(x), y)

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), lr=3e-3)

    module = Module()
    with tempfile.TemporaryDirectory() as folder:
        trainer = lightning.Trainer(
            max_epochs=10,
            accelerator="cpu",
            default_root_dir=folder,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(module, DataLoader(TRAIN, 64, shuffle=True))
    return accuracy(module.net)


def with_hugging_face(loss):
    """The trainer of Hugging Face: `Loss.hf` is its `compute_loss_func`."""
    from transformers import Trainer, TrainingArguments

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = network()

        def forward(self, pixels, labels=None):
            return {"logits": self.net(pixels)}

    class Examples(Dataset):
        def __len__(self):
            return len(TRAIN)

        def __getitem__(self, place):
            x, y = TRAIN[place]
            return {"pixels": x, "labels": y}

    model = Model()
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            num_train_epochs=10,
            per_device_train_batch_size=64,
            learning_rate=3e-3,
            use_cpu=True,
            report_to=[],
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
        )
        trainer = Trainer(model, arguments, train_dataset=Examples(), compute_loss_func=loss.hf())
        with contextlib.redirect_stdout(None):
            trainer.train()
    return accuracy(model.net)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--loss", default=FOUND)
    loss = al.Loss(parser.parse_args().loss)
    print("loss:", loss)
    for name, package, train in (
        ("plain loop with autocast", "torch", plain_loop),
        ("Lightning", "lightning", with_lightning),
        ("Trainer of Hugging Face", "transformers", with_hugging_face),
    ):
        torch.manual_seed(0)
        found = importlib.util.find_spec(package) is not None
        print(f"{name}: {f'accuracy {train(loss):.4f}' if found else f'left out, {package} is not installed'}")


if __name__ == "__main__":
    main()
